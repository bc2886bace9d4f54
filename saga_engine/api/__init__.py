"""HTTP for the engine and for what a project adds: what a module of a project's `api` folder imports."""

from saga_engine.api.bodies import body
from saga_engine.api.operation import Answer, Operation, Request
from saga_engine.api.problems import Problem, ProblemDocument

__all__ = ["Answer", "Operation", "Problem", "ProblemDocument", "Request", "body"]
