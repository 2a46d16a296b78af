-- "quotes", back\slashes and lines survive
CREATE SCHEMA steps;
