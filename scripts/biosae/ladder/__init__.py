"""A ladder of graded synthetic worlds: what dictionaries find of a planted truth, against how hard it is."""
