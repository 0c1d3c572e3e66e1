"""Who tells: the job's handle, loops that count by themselves, and the thread that publishes."""
