subjects <- utils::read.csv(test_path("fixtures", "B_naplib_seed0.csv"))
X <- as.matrix(subjects[1:2])
fit <- lmm(X, subjects$output, subjects$subject, ddf = "none")

on_paper <- function(code) {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  force(code)
}

test_that("rows, segments and colours are those of the original (row 80)", {
  on_paper({
    expect_invisible(drawn <- plot_effects(fit))
    limits <- graphics::par("usr")
  })
  expect_identical(drawn$term, c("feature_1", "feature_2"))
  expect_equal(drawn$conf.low, c(.94258569, -2.12428980), tolerance = 1e-7)
  expect_equal(drawn$conf.high, c(1.15193446, -1.92238339), tolerance = 1e-7)
  expect_identical(drawn$y, c(0, 1))
  expect_identical(drawn$colour, grDevices::rgb(c(255, 97), c(44, 164), c(0, 205),
    maxColorValue = 255))
  expect_equal(limits[1:2], c(-1.1, 1.1) * 2.1242898, tolerance = 1e-6)
  expect_equal(limits[3:4], c(-0.5, 1.5))
})

test_that("one effect, thirty effects and long names are drawn", {
  set.seed(1)
  Z <- matrix(rnorm(250 * 30), 250)
  colnames(Z) <- paste(strrep("a very long name ", 8), 1:30)
  many <- lmm(Z, subjects$output, subjects$subject)
  single <- lmm(X[, 1, drop = FALSE], subjects$output, subjects$subject)
  on_paper({
    expect_silent(drawn <- plot_effects(many, first = "top"))
    expect_identical(nrow(drawn), 30L)
    expect_identical(drawn$y, 29:0 + 0)
    expect_true("#808080" %in% drawn$colour)
    margins <- graphics::par("mai")
    expect_silent(plot_effects(single))
    expect_identical(graphics::par("mai"), margins)
    # Beside other figures too.
    graphics::par(mfrow = c(2, 4))
    for (k in 1:8) expect_silent(plot_effects(many))
  })
})

test_that("arguments choose what is drawn", {
  on_paper({
    with_intercept <- plot_effects(fit, intercept = TRUE, plus_minus_colors = c("green", "navy"))
    expect_identical(with_intercept$colour, c("navy", "green", "navy"))
    plot_effects(fit, center_zero = FALSE, print_ylabels = FALSE, level = 0.5)
    expect_lt(graphics::par("usr")[2], 2)
    plot_effects(fit, xlim = c(-9, 5), line_alpha = 1, markersize = 3, xlab = "x", main = "m")
    expect_equal(graphics::par("usr")[1:2], c(-9, 5))
  })
})

test_that("intervals are those of the fit, its level and its degrees of freedom", {
  wide <- lmm(X, subjects$output, subjects$subject, level = 0.999)
  on_paper({
    expect_equal(plot_effects(wide)$conf.low, unname(wide$conf_int[-1, 1]))
    expect_equal(plot_effects(wide, level = 0.95, ddf = "none")$conf.low,
      unname(fit$conf_int[-1, 1]))
  })
})

test_that("every kind of fit, and tables, are drawn", {
  counts <- glmm(TICKS ~ YEAR + (1 | BROOD), grouseticks, poisson())
  K <- exp(-as.matrix(dist(1:40)) / 3)
  spatial <- suppressMessages(kernel_lmm(subjects$output[1:40], X[1:40, ], K))
  table <- data.frame(
    term = factor(c("a", "b", "c")), estimate = c(1, NA, 0), conf.low = c(0.5, NA, NA),
    conf.high = c(1.5, NA, NA), contrast = c("2 - 1", NA, "")
  )
  on_paper({
    expect_identical(plot_effects(counts)$term, c("YEAR96", "YEAR97"))
    expect_identical(nrow(plot_effects(spatial)), 2L)
    drawn <- plot_effects(structure(table, class = c("pp_effects", "data.frame")))
  })
  expect_identical(drawn$term, c("a: 2 - 1", "c"))
  expect_identical(drawn$colour, c("#FF2C00", "#808080"))
  # The contrasts of a term in place of their mean.
  table <- data.frame(
    term = c("f", "f", "f", "(Intercept)"), contrast = c(NA, "f2", "3 - 2", NA), estimate = 1:4,
    conf.low = 0:3, conf.high = 2:5
  )
  on_paper(drawn <- plot_effects(structure(table, class = c("pp_effects", "data.frame"))))
  expect_identical(drawn$term, c("f2", "f: 3 - 2"))
})

test_that("a dropped column has no row", {
  aliased <- suppressMessages(lmm(cbind(X, twice = 2 * X[, 1]), subjects$output, subjects$subject))
  on_paper(expect_identical(plot_effects(aliased)$term, colnames(X)))
})

test_that("bad arguments are errors", {
  alone <- suppressMessages(lmm(output ~ 1 + (1 | subject), subjects))
  wrong <- function(...) {
    on_paper(expect_error(plot_effects(...), class = "partialpool_error_argument"))
  }
  wrong(alone)
  wrong(lm(output ~ 1, subjects))
  wrong(data.frame(term = "a", estimate = 1))
  wrong(data.frame(term = "a", estimate = NA, conf.low = 1, conf.high = 2))
  wrong(fit, plus_minus_colors = "red")
  wrong(fit, plus_minus_colors = c("red", "no colour"))
  wrong(fit, line_alpha = 2)
  wrong(fit, markersize = 0)
  wrong(fit, first = "left")
  wrong(fit, level = 95)
  wrong(fit, ddf = "guess")
})

test_that("the picture is the one that was looked at", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("two effects", function() plot_effects(fit))
  herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  vdiffr::expect_doppelganger("periods from the top", function() {
    plot_effects(herds, first = "top", intercept = TRUE, center_zero = FALSE,
      xlab = "effect on the log odds", main = "Periods")
  })
})
