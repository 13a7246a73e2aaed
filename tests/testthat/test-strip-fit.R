size_in_file <- function(x) length(serialize(x, NULL))

test_that("a small fit predicts, prints and summarises as before", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  small <- strip_fit(fit)
  expect_s3_class(small, c("pp_stripped", "pp_lmm", "pp_fit"), exact = TRUE)
  new <- data.frame(Days = c(1, 5), Subject = c("308", "new"))
  for (re.form in list(NULL, NA, ~ (1 | Subject))) {
    expect_identical(predict(small, new, re.form = re.form, allow.new.levels = TRUE),
                     predict(fit, new, re.form = re.form, allow.new.levels = TRUE))
  }
  expect_identical(predict(small, new[0, ]), predict(fit, new[0, ]))
  expect_identical(capture.output(print(summary(small))), capture.output(print(summary(fit))))
  shown <- capture.output(print(small))
  expect_identical(shown[-length(shown)], capture.output(print(fit)))
  expect_identical(simulate(small, 2, seed = 1, newdata = sleepstudy),
                   simulate(fit, 2, seed = 1, newdata = sleepstudy))
  for (f in list(fixef, coef, VarCorr, vcov, sigma, logLik, AIC, BIC, nobs, family,
                 df.residual, is_singular)) {
    expect_equal(f(small), f(fit))
  }
  expect_equal(formula(small), formula(fit), ignore_formula_env = TRUE)
  expect_equal(coef(small, "group"), coef(fit, "group"))
  expect_equal(ranef(small, condVar = FALSE), ranef(fit, condVar = FALSE))
  expect_identical(strip_fit(small), small)
})

test_that("generalised models, zero inflation and offsets", {
  new <- cbpp[c(1, 30), ]
  fits <- list(
    glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial()),
    quietly(glmm(incidence ~ period + (1 | herd), cbpp, poisson(), ziformula = ~period)),
    glmm(incidence ~ period + (1 | herd), cbpp, poisson(), offset = log(size))
  )
  for (fit in fits) {
    small <- strip_fit(fit)
    for (type in c("link", "response", "zprob")) {
      expect_identical(predict(small, new, type = type), predict(fit, new, type = type))
    }
    expect_identical(capture.output(print(summary(small))), capture.output(print(summary(fit))))
    drawn <- simulate(small, seed = 1, newdata = new)
    expect_identical(drawn, simulate(fit, seed = 1, newdata = new))
  }
})

test_that("the size does not depend on the rows, nor on what lay around", {
  made <- function(times) {
    large <- stats::rnorm(1e5)
    knots <- c(2, 5)
    d <- sleepstudy[rep(seq_len(180), times), ]
    lmm(Reaction ~ splines::ns(Days, knots = knots) + (Days | Subject), d)
  }
  fit <- made(1)
  small <- strip_fit(fit)
  expect_gt(size_in_file(fit), 8e5)
  expect_lt(size_in_file(small), 2e4)
  expect_lt(abs(size_in_file(strip_fit(made(10))) - size_in_file(small)), 500)
  expect_identical(predict(small, sleepstudy), predict(fit, sleepstudy))
  again <- unserialize(serialize(small, NULL))
  expect_identical(predict(again, sleepstudy), predict(fit, sleepstudy))
  inlined <- do.call(lmm, list(Reaction ~ Days + (1 | Subject), sleepstudy))
  expect_lt(size_in_file(strip_fit(inlined)), size_in_file(inlined) / 2)
})

test_that("what needs the rows says so", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  small <- strip_fit(fit)
  gone <- function(code) {
    expect_error(code, "strip_fit", class = "partialpool_error_argument")
  }
  gone(residuals(small))
  gone(fitted(small))
  gone(predict(small))
  gone(predict(small, sleepstudy, se.fit = TRUE))
  gone(predict(small, sleepstudy, interval = "confidence"))
  gone(simulate(small))
  gone(model.frame(small))
  gone(model.matrix(small))
  gone(ranef(small))
  gone(anova(small))
  gone(drop1(small))
  gone(confint(small))
  gone(profile(small))
  gone(refit(small, sleepstudy$Reaction))
  gone(bootstrap(small, nsim = 2))
  gone(components(small))
  gone(vcov(small, full = TRUE))
  gone(vcov(small, type = "sandwich"))
  gone(r_squared(small))
  gone(check_fit(small))
  gone(plot(small))
  gone(extractAIC(small))
  gone(small$y)
  gone(small[["frame"]])
  gone(summary(small, ddf = "kenward-roger"))
  expect_identical(summary(strip_fit(fit, ddf = "kenward-roger"))$ddf, "kenward-roger")
  expect_equal(update(small, REML = FALSE), update(fit, REML = FALSE))
})

test_that("only fits of rows can be stripped", {
  expect_error(strip_fit(3), class = "partialpool_error_argument")
  K <- exp(-as.matrix(stats::dist(1:20)) / 5)
  fit <- quietly(kernel_lmm(sin(1:20), NULL, K))
  expect_error(strip_fit(fit), class = "partialpool_error_argument")
})

test_that("butcher does the same", {
  skip_if_not_installed("butcher")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  small <- butcher::butcher(fit)
  expect_identical(predict(small, sleepstudy), predict(fit, sleepstudy))
  expect_error(residuals(small), class = "partialpool_error_argument")
  expect_lte(size_in_file(small), size_in_file(strip_fit(fit)))
  expect_identical(residuals(butcher::axe_env(fit)), residuals(fit))
})
