"""The condition language, as docs/rules.md defines it: from text to a program over columns.

    text ─► lexer ─► clauses (over, by, for) ─► reader (ast, whitelist) ─► checker (names, units,
    kinds) ─► condition (scope, readings) ─► program (all conditions of a scope) ─► one kernel

Nothing up to the condition loads NumPy: files of rules are checked by commands that start quickly.
"""
