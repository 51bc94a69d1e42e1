// How exact sums of times are. As mien.smoothing.options.

/** Seconds by which rounding errors may keep a sum of times below a limit. */
export const TIME_TOLERANCE = 1e-9;
