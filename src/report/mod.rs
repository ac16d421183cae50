//! The log → the weekly report of suspicious access, as one self-contained HTML page, text or JSON.
