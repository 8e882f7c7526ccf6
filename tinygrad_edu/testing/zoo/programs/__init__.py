"""The programs of the bug zoo as they should be: each exercise is one of them with one place broken."""
