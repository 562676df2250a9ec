"""What identifies a customer, and how it is hidden: patterns as data, masked text, filled pictures."""
