"""`python -m benchmarks`: every table, one after the other."""

from benchmarks import bare

bare.main()
