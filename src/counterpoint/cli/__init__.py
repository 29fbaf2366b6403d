"""The `counterpoint` command: hosts apps, and starts, finds, shows and steers executions."""
