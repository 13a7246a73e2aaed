# Two markers of sixty have an effect; all numbers are deterministic.
scan_of_sixty <- function() {
  markers <- matrix(as.numeric(cos(seq_len(80 * 60)^2 * 0.739) > 0.2), 80)
  y <- 2 * markers[, 7] - 1.6 * markers[, 41] + cos((1:80)^2)
  fit <- suppressMessages(kernel_lmm(y, NULL, kernel(factor = scale(markers[, -(1:45)]))))
  scan <- marker_scan(fit, markers)
  scan$chromosome <- rep(c("2", "10", "X"), each = 20)
  scan$position <- rep(seq_len(20) * 1e5, 3)
  scan
}

# With a trace of its own: the last iterations of a search are rounding, which differs between
# machines.
sleep_with_trace <- function() {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  fit$convergence$trace <- 1743 + c(11, 0.9, 6e-4, 0)
  fit$convergence$decrement <- 1e-9
  fit$convergence$evaluations <- 5L
  fit
}

herd_fit <- function() {
  glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
}
