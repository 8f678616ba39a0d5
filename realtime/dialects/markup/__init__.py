"""How models with a chat template write: a table of families, and one machine that reads them all. Pure. Open
`family.py` first.

`families` and `more_families` are the rows, `family` says what a row is, `detect` finds the row of a model. `machine`
reads an answer by its row; `parser` puts the machine behind `dialects.base.Parser`. `writer` writes calls as a row
says, and `tags` the constraints of sampling.
"""
