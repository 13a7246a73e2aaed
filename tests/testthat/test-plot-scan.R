panels <- function(scan, which = 1:2, level = 0.05) {
  lapply(partialpool:::scan_pictures(scan, which, level), function(p) p$panels[[1L]])
}

test_that("p values stand by chromosome and position, with the Bonferroni line", {
  scan <- scan_of_sixty()
  manhattan <- panels(scan)[[1L]]
  expect_equal(manhattan$points$y, -log10(scan$p))
  expect_equal(manhattan$threshold, -log10(0.05 / 60))
  expect_identical(manhattan$ticks$label, c("2", "10", "X"))
  expect_true(all(diff(manhattan$points$x) > 0))
  expect_identical(manhattan$points$odd, rep(c(TRUE, FALSE, TRUE), each = 20))
  expect_identical(manhattan$hits$label, c("marker7", "marker41"))
  expect_true(all(manhattan$hits$y >= manhattan$threshold))
  plain <- scan[setdiff(names(scan), c("chromosome", "position"))]
  expect_equal(panels(plain)[[1L]]$points$x, 1:60)
  one <- panels(scan[1:20, ])[[1L]]
  expect_identical(one$xlab, "Position on chromosome 2 (Mb)")
  expect_equal(one$points$x, scan$position[1:20] / 1e6)
  chromosomes <- partialpool:::chromosome_order(c("X", "chr10", "chr2", "MT", "1"))
  expect_identical(chromosomes, c("1", "chr2", "chr10", "MT", "X"))
})

test_that("the quantiles have lambda and the band of order statistics", {
  scan <- scan_of_sixty()
  qq <- panels(scan, "qq")[[1L]]
  expect_equal(qq$points$y, -log10(sort(scan$p)))
  expect_equal(qq$points$x, -log10(ppoints(60)))
  expect_equal(qq$lambda, summary(scan)$lambda)
  expect_equal(10^-qq$band$upper[1L], 1 - 0.975^(1 / 60))
  expect_equal(10^-qq$band$lower[60L], 0.975^(1 / 60))
})

test_that("points that fall on one spot are drawn once, small p values all", {
  scan <- scan_of_sixty()[rep(1:60, 2000), ]
  scan$p <- (sin(seq_len(nrow(scan)) * 0.7) + 1) / 2
  scan$p[1e5] <- 0
  scan$p[5] <- NA
  drawn <- panels(scan)
  expect_lt(nrow(drawn[[1L]]$points), 1e5)
  expect_equal(max(drawn[[1L]]$points$y), -log10(.Machine$double.xmin))
  expect_lt(nrow(drawn[[2L]]$points), 2500L)
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_silent(plot(scan))
})

test_that("a scan without p values, results in a file and a wrong which are errors", {
  scan <- scan_of_sixty()
  expect_error(plot(scan, 3), "which", class = "partialpool_error_argument")
  expect_error(plot(scan, level = 2), "level", class = "partialpool_error_argument")
  scan$p <- NA_real_
  expect_error(plot(scan), "no p value", class = "partialpool_error_argument")
  file <- withr::local_tempfile()
  K <- exp(-as.matrix(dist(1:30)) / 5)
  fit <- suppressMessages(kernel_lmm(sin(1:30) + 1:30 / 30, NULL, K))
  far <- marker_scan(fit, matrix(as.numeric(sin(1:120) > 0), 30), file = file)
  expect_error(plot(far), "file", class = "partialpool_error_argument")
})
