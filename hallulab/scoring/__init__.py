"""One verdict, three front ends: words, pictures, coins."""
