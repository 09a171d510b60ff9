"""Links carry the delivery protocol's messages; each driver is thin and knows nothing of them."""
