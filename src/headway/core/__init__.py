"""What progress is: records, rules, arithmetic and words.  No I/O, no clock, no threads."""
