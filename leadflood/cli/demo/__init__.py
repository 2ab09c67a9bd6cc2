"""`leadflood demo`: the product on a pretend world, and its report."""
