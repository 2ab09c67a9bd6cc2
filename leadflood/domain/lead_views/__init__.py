"""Lead views: lists, searches, exports and pages of leads; reads all slices, writes nothing."""
