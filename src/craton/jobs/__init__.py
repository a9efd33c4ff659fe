"""The durable queue of jobs and what runs them. A job is a row first and a process second."""
