"""Tables as people keep them: CSV and XLSX files, their columns by name, chat exports in a cell."""
