"""What came of leads, as those know who met them: what models will learn from."""
