// Lets this package declare functions that are linked in.
