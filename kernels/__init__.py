"""Compiled code only: arrays and scalars in, arrays written, a count or a status out."""
