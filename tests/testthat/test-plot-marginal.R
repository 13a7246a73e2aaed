marginal_of <- function(fit, term = NULL, group = NULL, scale = "response", data = NULL,
                        level = 0.95) {
  partialpool:::marginal_picture(fit, term, level, group, scale, data)$panels
}
sleep_fit <- function() lmm(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("the line is the prediction without random effects, with the intervals of a contrast", {
  fit <- sleep_fit()
  panel <- marginal_of(fit)[[1L]]
  at <- data.frame(Days = panel$line$x)
  population <- predict(fit, at, re.form = NA, se.fit = TRUE)
  expect_equal(range(at$Days), c(0, 9))
  expect_equal(panel$line$estimate, unname(population$fit))
  half <- qt(0.975, 17) * unname(population$se.fit)
  # The degrees of freedom are 17 for the slope and the intercept, more between.
  expect_equal(panel$line$upper[1L] - panel$line$estimate[1L], half[1L], tolerance = 1e-4)
  expect_true(all(panel$line$upper - panel$line$estimate <= half * (1 + 1e-6)))
})

test_that("lines of groups are predictions, points without other predictors the responses", {
  fit <- sleep_fit()
  panel <- marginal_of(fit, "Days")[[1L]]
  expect_equal(panel$points$y, sleepstudy$Reaction)
  at <- data.frame(Days = panel$groups$x, Subject = panel$groups$group)
  expect_equal(panel$groups$y, unname(predict(fit, at)))
  expect_setequal(panel$groups$group, levels(sleepstudy$Subject))
  alone <- marginal_of(fit, "Days", group = FALSE)[[1L]]
  expect_null(alone$groups)
  expected <- predict(fit, re.form = NA) + residuals(fit)
  expect_equal(alone$points$y, unname(expected))
})

test_that("lines keep to the values that a group has", {
  d <- subset(sleepstudy, Subject != "308" | Days > 4)
  lines <- marginal_of(lmm(Reaction ~ Days + (Days | Subject), d))[[1L]]$groups
  expect_gte(min(lines$x[lines$group == "308"]), 5)
  expect_equal(min(lines$x[lines$group == "309"]), 0)
  many <- data.frame(g = rep(1:500, each = 4), x = rep(1:4, 500))
  many$y <- sin(many$g) + many$x + cos(3.3 * seq_along(many$x))
  lines <- marginal_of(lmm(y ~ x + (1 | g), many))[[1L]]$groups
  expect_length(unique(lines$group), 200L)
})

test_that("other predictors are held at their mean or first level", {
  d <- transform(sleepstudy, f = factor(rep_len(c("b", "a", "c"), 180), c("b", "a", "c")),
                 z = cos(seq_len(180)), l = rep_len(c(TRUE, FALSE), 180))
  fit <- lmm(Reaction ~ Days * f + z + l + (Days | Subject), d)
  panels <- marginal_of(fit)
  expect_identical(vapply(panels, function(p) p$xlab, ""), c("Days", "f", "z", "l"))
  held <- data.frame(
    Days = panels[[1L]]$line$x, f = factor("b", levels(d$f)), z = mean(d$z), l = FALSE
  )
  expect_equal(panels[[1L]]$line$estimate, unname(predict(fit, held, re.form = NA)))
  levels <- transform(held[c(1, 1, 1), ], Days = mean(d$Days), f = factor(levels(d$f), levels(d$f)))
  expect_equal(panels[[2L]]$line$estimate, unname(predict(fit, levels, re.form = NA)))
  flags <- transform(held[c(1, 1), ], Days = mean(d$Days), l = c(FALSE, TRUE))
  expect_equal(panels[[4L]]$line$estimate, unname(predict(fit, flags, re.form = NA)))
  # Points: what the rows would be with the others held
  own <- transform(held[rep(1L, 180), ], Days = d$Days)
  moved <- predict(fit, own, re.form = NA) - predict(fit, re.form = NA)
  expect_equal(panels[[1L]]$points$y, unname(d$Reaction + moved))
})

test_that("generalised models are drawn on the scale of the response, or of the link", {
  fit <- herd_fit()
  new <- data.frame(period = factor(1:4))
  panel <- marginal_of(fit)[[1L]]
  expect_true(panel$discrete)
  expected <- predict(fit, new, re.form = NA, type = "response", interval = "confidence")
  expect_equal(as.matrix(panel$line[-1L]), expected, ignore_attr = TRUE)
  expect_equal(panel$points$y, cbpp$incidence / cbpp$size)
  expect_identical(panel$ylab, "Proportion of incidence")
  at <- data.frame(period = factor(panel$groups$x), herd = panel$groups$group)
  expect_equal(panel$groups$y, unname(predict(fit, at, type = "response")))
  link <- marginal_of(fit, scale = "link")[[1L]]
  expect_equal(link$line$estimate, qlogis(panel$line$estimate))
  expect_equal(link$points$y, unname(predict(fit, type = "link") + residuals(fit, "working")))
  # A link that falls
  gamma <- glmm(Reaction ~ Days + (1 | Subject), sleepstudy, Gamma("inverse"))
  line <- marginal_of(gamma)[[1L]]$line
  expect_true(all(line$lower < line$estimate & line$estimate < line$upper))
})

test_that("an offset is held at its mean", {
  fit <- glmm(incidence ~ period + offset(log(size)) + (1 | herd), cbpp, poisson)
  new <- data.frame(period = factor(1:4), size = exp(mean(log(cbpp$size))))
  expected <- predict(fit, new, re.form = NA, type = "response")
  expect_equal(marginal_of(fit)[[1L]]$line$estimate, unname(expected))
})

test_that("predictors in functions need the data, columns of the frame do not", {
  fit <- lmm(Reaction ~ poly(Days, 2) + (1 | Subject), sleepstudy)
  expect_snapshot(error = TRUE, marginal_of(fit, "Days"))
  panel <- marginal_of(fit, "Days", data = sleepstudy)[[1L]]
  at <- data.frame(Days = panel$line$x)
  expect_equal(panel$line$estimate, unname(predict(fit, at, re.form = NA)))
  expect_equal(panel$points$y, sleepstudy$Reaction)
  both <- lmm(Reaction ~ Days + I(Days^2) + (poly(Days, 2) | Subject), sleepstudy)
  panel <- marginal_of(both)[[1L]]
  at <- data.frame(Days = panel$groups$x, Subject = panel$groups$group)
  expect_equal(panel$groups$y, unname(predict(both, at)))
  logged <- lmm(Reaction ~ log(Days + 1) + (1 | Subject), sleepstudy)
  panel <- marginal_of(logged, "log(Days + 1)")[[1L]]
  at <- data.frame(Days = exp(panel$line$x) - 1)
  expect_equal(panel$line$estimate, unname(predict(logged, at, re.form = NA)))
})

test_that("names that are no names, dropped columns and missing intercepts do", {
  d <- transform(sleepstudy, twice = 2 * Days)
  d$`odd name` <- d$Days^2
  fit <- lmm(Reaction ~ 0 + `odd name` + (0 + `odd name` | Subject), d)
  panel <- marginal_of(fit)[[1L]]
  at <- data.frame(`odd name` = panel$line$x, check.names = FALSE)
  expect_equal(panel$line$estimate, unname(predict(fit, at, re.form = NA)))
  expect_identical(panel$xlab, "odd name")
  fit <- suppressMessages(lmm(Reaction ~ Days + twice + (1 | Subject), d))
  expect_length(marginal_of(fit), 2L)
  d$day <- as.Date("2020-01-01") + d$Days
  dates <- marginal_of(lmm(Reaction ~ day + (1 | Subject), d))[[1L]]
  expect_s3_class(dates$line$x, "Date")
  expect_equal(dates$line$estimate, marginal_of(lmm(Reaction ~ Days + (1 | Subject), d))[[1L]]$
    line$estimate)
})

test_that("units and labels of the data go to the axes", {
  d <- sleepstudy
  attr(d$Reaction, "label") <- "Reaction time"
  attr(d$Reaction, "units") <- "ms"
  attr(d$Days, "units") <- "d"
  panel <- marginal_of(lmm(Reaction ~ Days + (1 | Subject), d))[[1L]]
  expect_identical(c(panel$xlab, panel$ylab), c("Days (d)", "Reaction time (ms)"))
})

test_that("terms, groups and scales that there are not are errors", {
  fit <- sleep_fit()
  expect_error(plot(fit, "marginal", term = "Dys"), "term", class = "partialpool_error_argument")
  expect_error(plot(fit, "marginal", term = 1), "term", class = "partialpool_error_argument")
  expect_error(plot(fit, "marginal", group = "a"), "group", class = "partialpool_error_argument")
  expect_error(plot(fit, "marginal", scale = "log"), "scale", class = "partialpool_error_argument")
  expect_error(plot(fit, "marginal", data = 1), "data", class = "partialpool_error_argument")
})
