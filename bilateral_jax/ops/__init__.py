"""Operations on bilateral grids.

Contracts in `bilateral` and `grids`, one module per implementation, one table in `dispatch`.
"""
