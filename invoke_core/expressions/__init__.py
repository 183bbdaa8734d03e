"""The success-criteria expression language of Azure Pipelines, usable on its own.

::

    criteria = compile_criteria("eq(root['status'], 'successful')")
    criteria.test(answer_scope(root=lambda: {"status": "Successful"}, ...))   # True

``compile_criteria`` raises ``ExpressionSyntaxError``, ``Criteria.test`` raises
``ExpressionValueError``, and nothing else escapes. ``Criteria.explain`` says why.
"""

from invoke_core.expressions.criteria import Criteria, compile_condition, compile_criteria
from invoke_core.expressions.paths import NO_MATCH, JsonPath, NoMatch
from invoke_core.expressions.scope import JobStatus, Scope, answer_scope, condition_scope

__all__ = [
    "NO_MATCH",
    "Criteria",
    "JobStatus",
    "JsonPath",
    "NoMatch",
    "Scope",
    "answer_scope",
    "compile_condition",
    "compile_criteria",
    "condition_scope",
]
