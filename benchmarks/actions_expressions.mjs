// Measures @actions/expressions for criteria.py: reads one JSON request a line from standard
// input, {"expression", "document", "loops"}, and answers with the microseconds of one
// compilation and of one evaluation.
import { createInterface } from "node:readline";
import { Evaluator, Lexer, Parser, data } from "@actions/expressions";

function compile(expression) {
  return new Parser(new Lexer(expression).lex().tokens, ["root"], []).parse();
}

function timed(loops, action) {
  const started = process.hrtime.bigint();
  for (let loop = 0; loop < loops; loop++) action();
  return Number(process.hrtime.bigint() - started) / 1000 / loops;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { expression, document, loops } = JSON.parse(line);
  const root = JSON.parse(document, data.reviver);
  const context = new data.Dictionary({ key: "root", value: root });
  const program = compile(expression);
  const outcome = new Evaluator(program, context).evaluate().value;
  if (outcome !== true) throw new Error(`expected true, got ${outcome}`);
  console.log(
    JSON.stringify({
      compile: timed(loops, () => compile(expression)),
      evaluate: timed(loops, () => new Evaluator(program, context).evaluate()),
    }),
  );
}
