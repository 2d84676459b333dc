"""Who knows pictures: a module a provider; what they found becomes candidates, and nothing is fetched."""
