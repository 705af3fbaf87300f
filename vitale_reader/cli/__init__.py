"""The command line: one file a group of commands, nothing imported before it is used."""
