"""Do the readers of files that a user gives hold, whatever stands in the file?"""
