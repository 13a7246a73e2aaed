linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function() lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
on_paper <- function(code) {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  force(code)
}
pictures_of <- function(fit, which, level = 0.95, nsim = 99, ...) {
  options <- list(level = level, nsim = nsim, ...)
  partialpool:::make_pictures(fit, partialpool:::choose_pictures(which, fit), options)
}
panel_of <- function(fit, which, ...) pictures_of(fit, which, ...)[[1L]]$panels[[1L]]

test_that("all plots are drawn and the fit is returned invisibly", {
  fit <- sleep_fit()
  on_paper({
    expect_invisible(plot(fit))
    expect_identical(plot(fit, which = 2, col = "blue", pch = 3, main = "QQ", ylim = c(-5, 5)), fit)
    expect_silent(plot(fit, which = c(1, 3), level = 0.8))
    expect_silent(plot(fit, which = 1:8))
    expect_silent(plot(herd_fit(), which = c(1:6, 8)))
  })
})

test_that("many levels, many points and no random terms are drawn too", {
  d <- data.frame(g = rep(1:100, each = 60), x = rep(1:60, 100))
  d$y <- sin(d$g) + cos(1.7 * seq_along(d$x)) + d$x / 60
  on_paper({
    expect_silent(plot(lmm(y ~ x + (1 | g), d), which = 1:6))
    expect_silent(plot(linear_fit()))
    expect_silent(plot(linear_fit(), which = c(1, 2, 4, 5, 6)))
  })
})

test_that("names and numbers choose the same pictures", {
  fit <- sleep_fit()
  names <- c("residuals", "qq", "random", "scale-location", "effects", "marginal", "pairs", "trace")
  expect_identical(partialpool:::choose_pictures(1:8, fit), names)
  expect_identical(partialpool:::choose_pictures(c("scale", "eff", "qq"), fit), names[c(4, 5, 2)])
  kinds <- vapply(pictures_of(fit, names), function(p) p$kind, "")
  expect_identical(kinds, names)
})

test_that("lme4's formulas of pictures are told where to go", {
  expect_error(
    plot(linear_fit(), resid(.) ~ fitted(.)), "augment",
    class = "partialpool_error_argument"
  )
})

test_that("a wrong which and wrong options are errors that name them", {
  fit <- linear_fit()
  for (which in list(9, 0, "rsiduals", character(), NULL, NA, list(1), 1.5, TRUE)) {
    expect_error(plot(fit, which = which), "which", class = "partialpool_error_argument")
  }
  expect_error(plot(fit, level = 95), "level", class = "partialpool_error_argument")
  expect_error(plot(fit, which = 2, nsim = -1), "nsim", class = "partialpool_error_argument")
  on_paper(expect_error(plot(fit, ask = NA), "ask", class = "partialpool_error_argument"))
})

test_that("a picture that the fit does not have is an error that says which it has", {
  expect_snapshot(error = TRUE, {
    plot(linear_fit(), which = "random")
    plot(lmm(Reaction ~ 1 + (1 | Subject), sleepstudy), which = c("marginal", "pairs"))
    plot(linear_fit(), which = "trace", nsim = 0)
  })
  K <- exp(-as.matrix(dist(1:30)) / 5)
  fit <- suppressMessages(kernel_lmm(sin(1:30) + 1:30 / 30, NULL, K))
  expect_error(plot(fit, which = "pairs"), "effects", class = "partialpool_error_argument")
  traits <- suppressMessages(kernel_lmm(cbind(sin(1:30), cos((1:30)^2)), NULL, K))
  expect_error(plot(traits), "several traits", class = "partialpool_error_argument")
})

test_that("residuals stand against fitted values", {
  fit <- sleep_fit()
  panel <- panel_of(fit, "residuals")
  expect_equal(panel$points$y, unname(residuals(fit, "scaled")))
  expect_equal(panel$points$x, unname(fitted(fit)))
  expect_equal(panel$smooth, unique(data.frame(lowess(panel$points))), ignore_attr = TRUE)
  size <- panel_of(fit, "scale-location")
  expect_equal(size$points$y, sqrt(abs(panel$points$y)))
  expect_equal(size$rule, integrate(function(z) 2 * sqrt(z) * dnorm(z), 0, Inf)$value,
               tolerance = 1e-5)
  herds <- panel_of(herd_fit(), 1)
  expect_equal(herds$points$x, unname(predict(herd_fit(), type = "link")))
  expect_equal(herds$points$y, unname(residuals(herd_fit(), "quantile", seed = 1)))
})

test_that("the bands of quantiles are those of refitted simulations", {
  fit <- sleep_fit()
  panel <- panel_of(fit, "qq", nsim = 40)
  draws <- vapply(simulate(fit, 40, seed = 1), function(y) {
    unname(sort(residuals(suppressMessages(refit(fit, y)), "scaled")))
  }, numeric(180))
  expect_equal(panel$points$y, unname(sort(residuals(fit, "scaled"))))
  expect_equal(panel$band$middle, rowMeans(draws))
  expect_equal(panel$band$lower, apply(draws, 1, quantile, 0.025, names = FALSE))
  inside <- apply(draws, 2, function(d) {
    all(d >= panel$band$lower_all - 1e-12 & d <= panel$band$upper_all + 1e-12)
  })
  expect_gte(mean(inside), 0.95)
  expect_false(grepl("failed", panel$note))
  expect_true(all(panel$band$upper_all >= panel$band$upper))
  expect_null(panel_of(fit, "qq", nsim = 0)$band)
})

test_that("rows left out, weights and binomial data do not upset the simulation", {
  d <- sleepstudy
  d$Reaction[c(3, 50)] <- NA
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, weights = Days + 1, na.action = na.exclude)
  expect_equal(nrow(panel_of(fit, "qq", nsim = 25)$band), 178L)
  expect_equal(nrow(panel_of(herd_fit(), "qq", nsim = 25)$band), 56L)
  K <- exp(-as.matrix(dist(1:60)) / 5)
  kernel <- suppressMessages(kernel_lmm(sin(1:60 / 4) + 2 * cos((1:60)^2), NULL, K))
  expect_equal(nrow(panel_of(kernel, "qq", nsim = 40)$band), 60L)
  quasi <- suppressMessages(glmm(
    cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, quasibinomial, method = "pql"
  ))
  expect_null(panel_of(quasi, "qq")$band)
})

test_that("quantiles of many rows are thinned and their bands follow order statistics", {
  at <- partialpool:::shown_ranks(1e5)
  expect_true(all(c(1:200, 1e5 - 0:199) %in% at) && length(at) < 1500 && !is.unsorted(at))
  draws <- partialpool:::with_seed(1, partialpool:::uniform_quantiles(50, c(1, 10, 50), 4000))
  expect_equal(rowMeans(draws), c(1, 10, 50) / 51, tolerance = 0.02)
  expect_equal(apply(draws, 1, var), c(1 * 50, 10 * 41, 50 * 1) / (51^2 * 52), tolerance = 0.1)
  d <- data.frame(g = gl(50, 60), x = cos(1:3000))
  d$y <- qnorm(ppoints(3000))[order(sin(1:3000 * 1.3))]
  panel <- panel_of(suppressMessages(lmm(y ~ x + (1 | g), d)), "qq")
  expect_lt(nrow(panel$points), 1500)
  expect_true(all(diff(panel$band$middle) > 0))
})

test_that("random effects are the conditional modes, sorted, with normal intervals", {
  fit <- lmm(strength ~ 1 + (1 | batch / cask), Pastes)
  modes <- as.data.frame(ranef(fit))
  panels <- pictures_of(fit, "random", level = 0.9)[[1L]]$panels
  expect_length(panels, 2L)
  own <- modes[modes$grpvar == panels[[1L]]$group, ]
  own <- own[order(own$condval), ]
  rows <- panels[[1L]]$rows
  expect_identical(rows$label, as.character(own$grp))
  expect_equal(rows$estimate, own$condval)
  expect_equal(rows$upper - rows$estimate, qnorm(0.95) * own$condsd)
})

test_that("pairs have the ellipse of the estimated covariance", {
  fit <- sleep_fit()
  panel <- panel_of(fit, "pairs", level = 0.8)
  border <- as.matrix(panel$ellipse)
  S <- as.matrix(VarCorr(fit)$Subject)[1:2, 1:2]
  expect_equal(unname(rowSums((border %*% solve(S)) * border)), rep(qchisq(0.8, 2), 181L))
  expect_equal(panel$points$x, ranef(fit)$Subject[[1L]])
  # Terms apart are not correlated; a singular covariance gives a line.
  apart <- lmm(Reaction ~ Days + (Days || Subject), sleepstudy)
  turned <- panel_of(apart, "pairs")$ellipse
  expect_equal(sum(turned$x * turned$y), 0, tolerance = 1e-8)
  flat <- partialpool:::ellipse_of(matrix(1, 2, 2), 0.95)
  expect_equal(flat$x, flat$y)
  three <- suppressMessages(suppressWarnings(
    lmm(Reaction ~ Days + (Days + I(Days^2) | Subject), sleepstudy)
  ))
  expect_length(pictures_of(three, "pairs")[[1L]]$panels, 3L)
})

test_that("the trace is the criterion above its optimum", {
  fit <- herd_fit()
  rows <- panel_of(fit, "trace")$rows
  trace <- fit$convergence$trace
  expect_equal(rows$iteration, seq_along(trace) - 1)
  expect_equal(rows$above[1:3], (trace - min(trace))[1:3])
  expect_true(all(rows$above > 0))
})

test_that("effects are the estimates with the intervals of the summary", {
  fit <- lmm(strength ~ cask + (1 | batch), Pastes)
  rows <- panel_of(fit, "effects", level = 0.9)$rows
  table <- coef(summary(fit))[rows$label, ]
  expect_identical(rows$label, c("caskc", "caskb"))
  expect_equal(rows$estimate, unname(table[, "Estimate"]))
  expect_equal(rows$upper, unname(table[, 1] + qt(0.95, table[, "df"]) * table[, 2]))
  alone <- panel_of(lmm(Reaction ~ 1 + (1 | Subject), sleepstudy), "effects")
  expect_identical(alone$rows$label, "(Intercept)")
})

test_that("neither the random numbers nor the settings of the device are disturbed", {
  set.seed(7)
  before <- .Random.seed
  on_paper({
    plot(1)
    settings <- graphics::par(no.readonly = TRUE)
    plot(sleep_fit(), which = 1:8)
    plot(herd_fit())
    after <- graphics::par(no.readonly = TRUE)
  })
  kept <- c("mar", "mgp", "las", "new", "mfrow", "cex", "tcl", "bty")
  expect_identical(after[kept], settings[kept])
  expect_identical(.Random.seed, before)
})

test_that("points beyond a number become counts in cells", {
  x <- rep(c(1, 2, 10), c(5, 3, 2))
  cells <- partialpool:::cells_of(x, 2 * x, across = 10, up = 10)
  expect_identical(cells$count, c(5L, 3L, 2L))
  expect_equal(cells$x, c(1.45, 2.35, 9.55))
  expect_identical(sum(partialpool:::cells_of(cos(1:1e5), sin(1:1e5))$count), 100000L)
  one <- partialpool:::cells_of(rep(3, 4), rep(1, 4))
  expect_identical(one$count, 4L)
})

test_that("labels are cut and made small enough for the margin", {
  on_paper({
    graphics::plot.new()
    long <- strrep("long ", 40)
    space <- partialpool:::label_space(c(long, "short"))
    width <- space$margin * graphics::par("csi")
    expect_lt(width, 0.5 * graphics::par("fin")[1L])
    expect_match(space$labels[1L], "[.]{3}$")
    expect_identical(space$labels[2L], "short")
    expect_lt(partialpool:::label_space(as.character(1:40))$cex, 0.8)
  })
})
