// Runs Microsoft's Node client on a task, and prints what it returned as JSON.
//
// The task comes as JSON on standard input; the arguments are what to run and which of the
// library's handlers carries the token. Source: agentless protocol, section 6.
"use strict";

const { Readable } = require("stream");
const azdev = require("azure-devops-node-api");

const AREA = "distributedtask";
const EVENTS = "557624af-b29e-4c20-8ab0-0399d2204f3f";

const HANDLERS = {
  pat: azdev.getPersonalAccessTokenHandler,
  bearer: azdev.getBearerHandler,
};

async function main(what, handler, task) {
  const token = what === "wrong" ? "A".repeat(43) : task.token;
  const connection = new azdev.WebApi(task.plan_url, HANDLERS[handler](token));
  const connected = await connection.connect();
  const api = await connection.getTaskApi();
  const plan = [task.project_id, task.hub_name, task.plan_id];

  async function eventUrl() {
    const values = { scopeIdentifier: plan[0], hubName: plan[1], planId: plan[2] };
    return api.vsoClient.getVersioningData("2.0-preview.1", AREA, EVENTS, values);
  }

  async function event(name, more) {
    const { requestUrl, apiVersion } = await eventUrl();
    const options = api.createRequestOptions("application/json", apiVersion);
    const body = { name, jobId: task.job_id, taskId: task.task_id, ...more };
    return (await api.rest.create(requestUrl, body, options)).statusCode;
  }

  async function append(log, text) {
    return api.appendLogContent({}, Readable.from([Buffer.from(text)]), ...plan, log.id);
  }

  const done = { connected };
  if (what === "wrong") {
    done.refused = await refusal(() => api.getRecords(...plan, task.timeline_id));
    return done;
  }
  if (what === "dropped") {
    const log = await api.createLog({ path: "logs\\1" }, ...plan);
    done.lines = (await append(log, "one\ntwo\n")).lineCount;
    const { requestUrl } = await eventUrl();
    const body = Readable.from([Buffer.from('{"name": "TaskCompleted"}')]);
    done.refused = await refusal(() => api.rest.uploadStream("POST", requestUrl, body, {}));
    return done;
  }

  // A client with an area asks where that is, and has to be told: here.
  done.agentUrl = (await connection.getTaskAgentApi()).baseUrl;
  done.started = await event("TaskStarted");
  const lines = { count: 1, value: ["fed by Node"], stepId: task.task_id };
  await api.appendTimelineRecordFeed(lines, ...plan, task.timeline_id, task.job_id);
  const log = await api.createLog({ path: `logs\\${task.task_id}` }, ...plan);
  done.log = log;
  done.lines = [];
  for (const page of ["\ufefffirst päge\r\n", `${"line ".repeat(4000)}\nlast`]) {
    done.lines.push((await append(log, page)).lineCount);
  }
  const record = {
    id: task.task_id,
    state: 1,
    result: null,
    percentComplete: 50,
    log: { id: log.id },
    issues: [{ type: 2, message: "mind the gap", category: "General", data: {} }],
    variables: { Size: { value: "12" }, Key: { value: "hush-hush", isSecret: true } },
  };
  const wrapper = { count: 1, value: [record] };
  done.updated = await api.updateRecords(wrapper, ...plan, task.timeline_id);
  done.records = await api.getRecords(...plan, task.timeline_id);
  done.timeline = await api.getTimeline(...plan, task.timeline_id, undefined, true);
  done.text = await api.getLog(...plan, log.id);
  done.part = await api.getLog(...plan, log.id, 2, 2);
  done.plan = await api.getPlan(...plan);
  done.unknown = await api.getLog(...plan, 7);
  done.isDate = done.records[0].lastModified instanceof Date;
  done.completed = await event("TaskCompleted", { result: 0 });
  done.refused = await refusal(() => event("TaskCompleted", { result: 2 }));
  return done;
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.statusCode, error.message];
  }
  return [];
}

let input = "";
process.stdin.on("data", (piece) => {
  input += piece;
});
process.stdin.on("end", async () => {
  const [what, handler] = process.argv.slice(2);
  const done = await main(what, handler, JSON.parse(input));
  process.stdout.write(JSON.stringify(done));
});
