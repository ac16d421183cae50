//! A throwaway PostgreSQL, a ticket shop's data, an ordinary day, and an insider.
