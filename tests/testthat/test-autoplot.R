small_profile <- function() {
  value <- seq(-3, 3, by = 0.5)
  profile <- data.frame(
    parameter = rep(c("sigma", "Days"), each = 13L), value = c(exp(value / 4), 10 + 1.5 * value),
    zeta = c(value, 1.05 * value), deviance = 0
  )
  structure(profile, class = c("pp_profile", "data.frame"))
}
small_bootstrap <- function() {
  t <- cbind(sigma = qexp(ppoints(200)), Days = 10 + qnorm(ppoints(200)))
  t[3, ] <- NA
  structure(list(
    t0 = c(sigma = 1, Days = 10), t = t, nsim = 200L, type = "parametric", seed = 1L, failed = 1L
  ), class = "pp_bootstrap")
}
layers <- function(plot) lapply(seq_along(plot$layers), function(i) ggplot2::layer_data(plot, i))

test_that("one picture is a ggplot, several are a list that prints", {
  skip_if_not_installed("ggplot2")
  fit <- sleep_with_trace()
  expect_s3_class(ggplot2::autoplot(fit, "qq"), "ggplot")
  all <- ggplot2::autoplot(fit)
  expect_s3_class(all, "pp_pictures")
  expect_named(all, c("residuals", "qq", "random"))
  for (plot in all) expect_s3_class(plot, "ggplot")
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_invisible(print(all))
  expect_length(ggplot2::autoplot(fit, type = 1:8), 8L)
  linear <- suppressMessages(lmm(Reaction ~ Days, sleepstudy))
  expect_named(ggplot2::autoplot(linear), c("residuals", "qq"))
})

test_that("the ggplots hold the numbers of plot()", {
  skip_if_not_installed("ggplot2")
  fit <- sleep_with_trace()
  residuals <- layers(ggplot2::autoplot(fit, "residuals"))
  expect_equal(residuals[[2L]]$y, unname(residuals(fit, "scaled")))
  qq <- layers(ggplot2::autoplot(fit, "qq", nsim = 25))
  panel <- partialpool:::qq_picture(fit, 25L)$panels[[1L]]
  expect_equal(qq[[1L]]$ymin, panel$band$lower_all)
  expect_equal(qq[[2L]]$ymax, panel$band$upper)
  expect_equal(qq[[4L]]$y, panel$points$y)
  random <- layers(ggplot2::autoplot(fit, "random"))
  modes <- as.data.frame(ranef(fit))
  expect_equal(sort(random[[3L]]$x), sort(modes$condval))
  expect_equal(sort(random[[2L]]$xend), sort(modes$condval + qnorm(0.975) * modes$condsd))
  marginal <- layers(ggplot2::autoplot(fit, "marginal", term = "Days"))
  expect_equal(marginal[[1L]]$y, sleepstudy$Reaction)
  expect_equal(length(unique(marginal[[2L]]$group)), 18L)
  at <- data.frame(Days = marginal[[4L]]$x)
  expect_equal(marginal[[4L]]$y, unname(predict(fit, at, re.form = NA)))
  effects <- layers(ggplot2::autoplot(herd_fit(), "effects"))
  expect_equal(rev(effects[[3L]]$x), unname(fixef(herd_fit())[-1L]))
})

test_that("levels of each facet have their own names", {
  skip_if_not_installed("ggplot2")
  built <- ggplot2::ggplot_build(ggplot2::autoplot(sleep_with_trace(), "random"))
  labels <- lapply(built$layout$panel_params, function(p) {
    known <- p$y$get_labels()
    known[!is.na(p$y$breaks)]
  })
  modes <- ranef(sleep_with_trace())$Subject
  expect_identical(labels[[1L]], row.names(modes)[order(modes[[1L]])], ignore_attr = TRUE)
  expect_identical(labels[[2L]], row.names(modes)[order(modes[[2L]])], ignore_attr = TRUE)
})

test_that("kernel models and scans have pictures", {
  skip_if_not_installed("ggplot2")
  K <- exp(-as.matrix(dist(1:30)) / 5)
  fit <- suppressMessages(kernel_lmm(sin(1:30 / 4) + cos((1:30)^2), NULL, K))
  expect_named(ggplot2::autoplot(fit, nsim = 25), c("residuals", "qq"))
  expect_error(ggplot2::autoplot(fit, "random"), class = "partialpool_error_argument")
  scan <- scan_of_sixty()
  expect_named(ggplot2::autoplot(scan), c("manhattan", "scan-qq"))
  points <- layers(ggplot2::autoplot(scan, "manhattan"))[[1L]]
  expect_equal(points$y, -log10(scan$p))
})

test_that("a profile has its limits where zeta crosses the quantiles", {
  skip_if_not_installed("ggplot2")
  profile <- small_profile()
  plot <- ggplot2::autoplot(profile, level = 0.9)
  limits <- layers(plot)[[3L]]
  expect_equal(limits$x[3:4], 10 + c(-1, 1) * 1.5 * qnorm(0.95) / 1.05)
  one <- ggplot2::autoplot(profile, parm = "Days")
  expect_equal(nrow(layers(one)[[4L]]), 13L)
  # A variance at zero has no lower limit.
  half <- profile[profile$zeta > -1, ]
  expect_equal(nrow(layers(ggplot2::autoplot(half, "sigma"))[[3L]]), 1L)
  expect_error(ggplot2::autoplot(profile, "sgma"), class = "partialpool_error_argument")
})

test_that("a bootstrap has its replicates, failed ones left out", {
  skip_if_not_installed("ggplot2")
  boot <- small_bootstrap()
  plot <- ggplot2::autoplot(boot)
  counts <- layers(plot)[[1L]]
  expect_equal(sum(counts$count), 2 * 199)
  expect_equal(layers(plot)[[2L]]$xintercept, c(1, 10))
  expect_match(plot$labels$subtitle, "200 replicates, 1 failed")
  boot$t[] <- NA
  expect_error(ggplot2::autoplot(boot), class = "partialpool_error_argument")
})

test_that("a table of effects is drawn row by row", {
  skip_if_not_installed("ggplot2")
  table <- effects_table(lmm(strength ~ cask + (1 | batch), Pastes), levels = "pairwise")
  rows <- partialpool:::effect_rows(table)
  expect_identical(rev(rows$label)[2:4], c("cask: b - a", "cask: c - a", "cask: c - b"))
  expect_equal(layers(ggplot2::autoplot(table))[[3L]]$x, rows$estimate)
})

test_that("unknown arguments are errors, and so is a missing ggplot2", {
  skip_if_not_installed("ggplot2")
  fit <- sleep_with_trace()
  expect_error(ggplot2::autoplot(fit, colour = 1), class = "partialpool_error_argument")
  expect_error(ggplot2::autoplot(fit, 9), class = "partialpool_error_argument")
  expect_error(
    partialpool:::need_package("no.such.package"), "no.such.package",
    class = "partialpool_error_argument"
  )
})

test_that("ggplots look as they should", {
  skip_if_not_installed("ggplot2")
  skip_if_not_installed("vdiffr")
  skip_on_cran()
  skip_if(packageVersion("ggplot2") >= "3.5.0", "the pictures kept are those of ggplot2 3.4")
  fit <- sleep_with_trace()
  for (which in partialpool:::picture_names) {
    vdiffr::expect_doppelganger(paste("linear", which), ggplot2::autoplot(fit, which))
  }
  vdiffr::expect_doppelganger("marginal factor", ggplot2::autoplot(herd_fit(), "marginal"))
  scan <- scan_of_sixty()
  vdiffr::expect_doppelganger("manhattan", ggplot2::autoplot(scan, "manhattan"))
  vdiffr::expect_doppelganger("scan quantiles", ggplot2::autoplot(scan, "qq"))
  vdiffr::expect_doppelganger("profile", ggplot2::autoplot(small_profile()))
  vdiffr::expect_doppelganger("bootstrap", ggplot2::autoplot(small_bootstrap()))
})
