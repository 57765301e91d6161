//! One script that every bot must pass, whatever it is built on.
