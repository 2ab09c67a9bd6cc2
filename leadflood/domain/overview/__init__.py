"""How far a run is and what came of it: reads every slice's tables, owns none."""
