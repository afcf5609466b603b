"""`make mutants`: what no test and no type would notice, in what decides about money, seats and access."""
