"""Finding leads at providers, page by page."""
