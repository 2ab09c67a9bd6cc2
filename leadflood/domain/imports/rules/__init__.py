"""Reading a CSV file: encoding, columns, rows, and what becomes of each."""
