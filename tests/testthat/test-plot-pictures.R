# What the pictures look like. The numbers behind them are tested elsewhere.

drawn <- function(title, code) {
  code <- substitute(code)
  frame <- parent.frame()
  vdiffr::expect_doppelganger(title, function() eval(code, frame))
}
test_that("pictures of linear models look as they should", {
  skip_if_not_installed("vdiffr")
  skip_on_cran()
  fit <- sleep_with_trace()
  drawn("residuals", plot(fit, "residuals"))
  drawn("qq", plot(fit, "qq"))
  drawn("random slopes", plot(fit, "random"))
  drawn("scale-location", plot(fit, "scale-location"))
  drawn("marginal line", plot(fit, "marginal"))
  drawn("pairs", plot(fit, "pairs"))
  drawn("trace", plot(fit, "trace"))
})

test_that("pictures of generalised and other models look as they should", {
  skip_if_not_installed("vdiffr")
  skip_on_cran()
  fit <- herd_fit()
  drawn("effects", plot(fit, "effects"))
  drawn("marginal factor", plot(fit, "marginal"))
  many <- data.frame(g = rep(1:90, each = 4), x = rep(1:4, 90))
  many$y <- sin(many$g) + many$x + cos(3.3 * seq_along(many$x))
  drawn("random effects of many levels", plot(lmm(y ~ x + (1 | g), many), "random"))
  d <- transform(Pastes, batch = factor(paste("a batch of a name as long as this is", batch)))
  drawn("long labels", plot(lmm(strength ~ cask + (1 | batch), d), "random"))
})

test_that("many points become cells", {
  skip_if_not_installed("vdiffr")
  skip_on_cran()
  x <- (1:30000 %% 10) / 10
  y <- x^2 + 0.1 * cos(1:30000 * 1.01)
  drawn("cells", {
    partialpool:::open_panel(x, y, "x", "y", "Cells", partialpool:::cells_note(length(x)))
    partialpool:::draw_points(x, y)
  })
})

test_that("pictures of scans look as they should", {
  skip_if_not_installed("vdiffr")
  skip_on_cran()
  scan <- scan_of_sixty()
  plain <- scan[setdiff(names(scan), c("chromosome", "position"))]
  drawn("scan by order", plot(plain, "manhattan"))
  drawn("scan by position", plot(scan, "manhattan"))
  drawn("scan quantiles", plot(scan, "qq"))
})
