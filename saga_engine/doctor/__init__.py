"""What is wrong with a project, its databases, its broker and its sagas, and what to do about it. Changes nothing."""
