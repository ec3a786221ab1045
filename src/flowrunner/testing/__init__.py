"""Testing: of programs that use flowrunner, and of backends for it."""
