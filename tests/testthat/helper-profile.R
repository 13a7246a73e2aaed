# Slopes of zeta that a profile reports against differences of its points: the cubic through two
# points predicts a third.
expect_exact_slopes <- function(profile, tolerance = 2e-4) {
  for (name in levels(profile$parameter)) {
    path <- as.data.frame(profile)[profile$parameter == name, ]
    at <- which(path$zeta == 0)[1L]
    usable <- which(is.finite(path$slope) & seq_len(nrow(path)) != at & is.finite(path$value))
    for (i in usable[-1L]) {
      two <- c(i - 1L, i)
      if (!all(two %in% usable)) next
      # Both slopes together give the rise of zeta but for terms of the third order.
      h <- diff(path$value[two])
      rise <- h * mean(path$slope[two])
      testthat::expect_lt(abs(diff(path$zeta[two]) - rise), max(0.01, tolerance))
    }
    testthat::expect_true(all(diff(path$zeta) >= -1e-6))
  }
}
