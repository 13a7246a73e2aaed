p <- probe()
many <- function(m) {
  set.seed(4)
  b <- matrix(rnorm(12 * m), 12)
  p$y + b[as.integer(p$g), ] + matrix(rnorm(600 * m), 600)
}
Y <- many(30)
formula <- ~ A + B + x + A:x + (1 | g)
fitted_to <- function(y) {
  p$y <- y
  lmm(y ~ A + B + x + A:x + (1 | g), p)
}
result <- lmm_responses(formula, p, Y)

test_that("row 25: each response is fitted as lmm() fits it alone", {
  expect_s3_class(result, "pp_responses")
  expect_true(all(result$responses$status == "ok"))
  for (j in c(1, 17, 30)) {
    fit <- fitted_to(Y[, j])
    name <- paste0("y", j)
    rows <- result$coefficients[result$coefficients$response == name, ]
    reference <- coef(summary(fit))
    expect_equal(rows$term, rownames(reference))
    for (k in 1:5) {
      own <- c("estimate", "std.error", "df", "statistic", "p.value")[k]
      expect_equal(rows[[own]], unname(reference[, k]), tolerance = 1e-6)
    }
    intervals <- rows$estimate + rows$std.error * outer(stats::qt(0.975, rows$df), c(-1, 1))
    expect_equal(cbind(rows$conf.low, rows$conf.high), intervals)
    terms <- result$terms[result$terms$response == name, ]
    reference <- effects_table(fit, levels = "none")[1:4, ]
    expect_equal(terms$term, reference$term)
    for (column in c("statistic", "df", "df.residual", "p.value")) {
      expect_equal(terms[[column]], as.numeric(reference[[column]]), tolerance = 1e-6)
    }
    row <- result$responses[j, ]
    expect_equal(row$sigma, sigma(fit), tolerance = 1e-7)
    expect_equal(row[["sd_(Intercept)|g"]], attr(VarCorr(fit)$g, "stddev")[[1]], tolerance = 1e-6)
    expect_equal(row$criterion, fit$criterion, tolerance = 1e-10)
    expect_equal(result$vcov[, , name], vcov(fit), tolerance = 1e-6)
  }
})

test_that("slopes, crossed terms, weights, offset, subset and ML", {
  d <- small_data()
  Z <- cbind(one = d$y, two = rev(d$y))
  found <- lmm_responses(~ x + (x | g) + (1 | h), d, Z,
    REML = FALSE, weights = w, offset = o, subset = x > min(x)
  )
  for (name in colnames(Z)) {
    d$response <- Z[, name]
    fit <- quietly(lmm(response ~ x + (x | g) + (1 | h), d,
      REML = FALSE, weights = w, offset = o, subset = x > min(x)
    ))
    expect_equal(coef(found)[name, ], coef(fit), tolerance = 1e-6)
    row <- found$responses[found$responses$response == name, ]
    expect_equal(row$criterion, fit$criterion, tolerance = 1e-9)
    sds <- unlist(lapply(VarCorr(fit), attr, "stddev"), use.names = FALSE)
    expect_equal(unlist(row[grep("^sd_", names(row))], use.names = FALSE), sds, tolerance = 1e-4)
    expect_equal(row$n, fit$n)
  }
})

test_that("no random effects: lm() by response", {
  found <- quietly(lmm_responses(~ A + B, p, Y[, 1:3]))
  reference <- summary(stats::lm(Y[, 2] ~ A + B, p))
  rows <- found$coefficients[found$coefficients$response == "y2", ]
  expect_equal(rows$estimate, unname(reference$coefficients[, 1]), tolerance = 1e-9)
  expect_equal(rows$p.value, unname(reference$coefficients[, 4]), tolerance = 1e-8)
  expect_equal(found$responses$sigma[2], reference$sigma, tolerance = 1e-9)
})

test_that("responses come from the formula, from columns, from a matrix", {
  d <- cbind(p, one = Y[, 1], two = Y[, 2])
  from_formula <- lmm_responses(cbind(one, two) ~ A + B + x + A:x + (1 | g), d)
  from_names <- lmm_responses(formula, d, c("one", "two"))
  expect_equal(from_names$coefficients, from_formula$coefficients)
  expect_equal(unname(coef(from_formula)), unname(coef(result)[1:2, ]))
  expect_equal(rownames(coef(from_formula)), c("one", "two"))
  # the dot is every column but the responses
  dotted <- lmm_responses(cbind(one, two) ~ . - y - yp - yb - g + (1 | g), d)
  plain <- lmm_responses(cbind(one, two) ~ A + B + x + (1 | g), d)
  expect_equal(coef(dotted), coef(plain))
  single <- lmm_responses(one ~ x + (1 | g), d)
  expect_equal(unname(coef(single)[1, ]), unname(coef(lmm(one ~ x + (1 | g), d))), tolerance = 1e-9)
})

test_that("a matrix response in lmm() is the same", {
  d <- p
  d$M <- Y[, 1:2]
  found <- lmm(M ~ A + B + x + A:x + (1 | g), d)
  expect_equal(unname(coef(found)), unname(coef(result)[1:2, ]))
  expect_s3_class(lmm(cbind(y, yp) ~ x + (1 | g), p), "pp_responses")
  expect_s3_class(lmm(y ~ x + (1 | g), p), "pp_lmm")
})

test_that("a response with missing values is fitted to its own rows", {
  Z <- Y[, 1:6]
  Z[c(3, 9), 2] <- NA
  Z[3, 4] <- NA
  Z[c(3, 9), 5] <- NA
  found <- lmm_responses(formula, p, Z)
  expect_equal(found$responses$n, c(600, 598, 600, 599, 598, 600))
  for (j in 2:5) {
    fit <- fitted_to(Z[, j])
    expect_equal(coef(found)[j, ], coef(fit), tolerance = 1e-8)
    expect_equal(found$responses$criterion[j], fit$criterion, tolerance = 1e-10)
  }
  # missing predictors are missing for all
  d <- p
  d$x[11] <- NA
  found <- lmm_responses(formula, d, Z)
  expect_equal(found$responses$n, c(599, 597, 599, 598, 597, 599))
  expect_equal(coef(found)[2, ], coef(lmm(
    y ~ A + B + x + A:x + (1 | g), transform(d, y = Z[, 2])
  )), tolerance = 1e-8)
})

test_that("a response that cannot be fitted has a status, and the others are not affected", {
  Z <- Y[, 1:7]
  Z[, 2] <- 4
  Z[1, 3] <- Inf
  Z[, 4] <- NA
  Z[p$g != "3", 5] <- NA
  Z[, 6] <- p$x
  found <- lmm_responses(formula, p, Z, p.adjust = "BH")
  expect_equal(found$responses$status, c("ok", rep("failed", 5), "ok"))
  bad <- found$coefficients$response %in% paste0("y", 2:6)
  numbers <- c("estimate", "std.error", "statistic", "df", "p.value", "conf.low", "p.adjusted")
  expect_true(all(is.na(found$coefficients[bad, numbers])))
  expect_true(all(is.na(found$terms[found$terms$response == "y2", c("statistic", "p.value")])))
  expect_equal(coef(found)[c(1, 7), ], coef(result)[c(1, 7), ])
  expect_match(found$responses$message[2], "constant")
  expect_match(found$responses$message[3], "infinite")
  expect_match(found$responses$message[5], "level")
  expect_match(found$responses$message[6], "exactly")
  singular <- lmm_responses(~ 1 + (1 | g), p, cbind(stats::resid(stats::lm(y ~ g, p))))
  expect_equal(singular$responses$status, "singular")
})

test_that("p-values are adjusted over all, over responses or over terms", {
  options <- list(p.adjust = "holm")
  all <- lmm_responses(formula, p, Y, p.adjust = "holm")
  counted <- all$coefficients$term != "(Intercept)"
  expect_equal(
    all$coefficients$p.adjusted[counted],
    stats::p.adjust(all$coefficients$p.value[counted], "holm")
  )
  expect_true(all(is.na(all$coefficients$p.adjusted[!counted])))
  expect_equal(all$terms$p.adjusted, stats::p.adjust(all$terms$p.value, "holm"))
  by_response <- lmm_responses(formula, p, Y, p.adjust = "BH", adjust.over = "responses")
  x <- by_response$terms$term == "x"
  expect_equal(
    by_response$terms$p.adjusted[x], stats::p.adjust(by_response$terms$p.value[x], "BH")
  )
  by_term <- lmm_responses(formula, p, Y, p.adjust = "BH", adjust.over = "terms")
  one <- by_term$terms$response == "y3"
  expect_equal(by_term$terms$p.adjusted[one], stats::p.adjust(by_term$terms$p.value[one], "BH"))
})

test_that("responses of a fit at hand, and fewer degrees of freedom to compute", {
  base <- lmm(y ~ A + B + x + A:x + (1 | g), p)
  found <- fit_responses(base, Y)
  expect_equal(found$coefficients, result$coefficients, tolerance = 1e-8)
  plain <- lmm_responses(formula, p, Y[, 1:2], ddf = "none")
  expect_equal(plain$coefficients$estimate, result$coefficients$estimate[1:12])
  expect_true(all(is.infinite(plain$coefficients$df)))
  # the fit itself is as it was
  expect_equal(coef(refit(base, p$y)), coef(base), tolerance = 1e-9)
})

test_that("generalised models: a fit by response", {
  counts <- cbind(a = p$yp, b = rev(p$yp), c = replace(p$yp, 3, NA), d = -1)
  found <- glmm_responses(~ A + B + x + (1 | g), p, poisson(), counts)
  expect_equal(found$responses$status, c("ok", "ok", "ok", "failed"))
  for (name in c("a", "b", "c")) {
    fit <- glmm(y ~ A + B + x + (1 | g), transform(p, y = counts[, name]), poisson())
    expect_equal(coef(found)[name, ], coef(fit), tolerance = 1e-5)
    rows <- found$coefficients[found$coefficients$response == name, ]
    expect_equal(rows$std.error, unname(sqrt(diag(vcov(fit)))), tolerance = 1e-4)
    terms <- found$terms[found$terms$response == name, ]
    table <- effects_table(fit, levels = FALSE)[1:3, ]
    expect_equal(terms$statistic, table$statistic, tolerance = 1e-4)
    expect_equal(terms$p.value, table$p.value, tolerance = 1e-3)
  }
  expect_match(found$responses$message[4], "Negative")
  base <- glmm(yp ~ A + B + x + (1 | g), p, poisson())
  again <- fit_responses(base, counts[, 1:2])
  expect_equal(unname(coef(again)), unname(coef(found)[1:2, ]), tolerance = 1e-5)
})

test_that("the answer does not depend on workers", {
  skip_if_not_installed("future.apply")
  skip_on_cran()
  before <- future::plan("multisession", workers = 2)
  on.exit(future::plan(before))
  shared <- tryCatch(lmm_responses(formula, p, Y), error = function(e) e)
  skip_if(inherits(shared, "error") && grepl("no package called", conditionMessage(shared)))
  expect_equal(shared$coefficients, result$coefficients)
})

test_that("bad arguments are errors", {
  for (call in expression(
    lmm_responses(formula, p, Y[-1, ]), lmm_responses(formula, p, letters[1:600]),
    lmm_responses(formula, p, matrix("a", 600, 2)), lmm_responses(formula, p, Y[, 0]),
    lmm_responses(formula, p, "nothing"), lmm_responses(cbind(y, nothing) ~ x + (1 | g), p)
  )) {
    expect_error(eval(call), class = "partialpool_error_response", info = deparse1(call))
  }
  expect_error(lmm_responses(formula, p), class = "partialpool_error_formula")
  expect_error(lmm_responses(formula, globalenv(), Y), class = "partialpool_error_data")
  expect_error(lmm_responses(formula, p, Y, ddf = "x"), class = "partialpool_error_argument")
  expect_error(lmm_responses(formula, p, Y, wieghts = 1), class = "partialpool_error_argument")
  expect_error(fit_responses(1, Y), class = "partialpool_error_argument")
  expect_error(fit_responses(lmm(y ~ x + (1 | g), p), Y[-1, ]),
    class = "partialpool_error_response"
  )
  expect_error(glmm_responses(~ x + (1 | g), p, poisson(), -Y), class = "partialpool_error_fit")
})

test_that("the result prints", {
  Z <- Y[, 1:5]
  Z[, 2] <- 0
  found <- lmm_responses(formula, p, Z, p.adjust = "BH")
  expect_snapshot(print(found))
  expect_snapshot(print(summary(found)))
  expect_equal(as.data.frame(found, what = "responses"), found$responses)
})

test_that("units of responses and predictors do not matter", {
  units <- lmm_responses(formula, transform(p, x = x * 1e6), cbind(Y[, 1] * 1e-120, Y[, 1] * 1e90))
  first <- result$terms[result$terms$response == "y1", ]
  for (name in c("y1", "y2")) {
    terms <- units$terms[units$terms$response == name, ]
    expect_equal(terms$statistic, first$statistic, tolerance = 1e-6)
    expect_equal(terms$df.residual, first$df.residual, tolerance = 1e-5)
  }
  expect_equal(coef(units)[1, 1:4] * 1e120, coef(result)[1, 1:4], tolerance = 1e-8)
})

test_that("rows in another order than their names are not mixed up", {
  set.seed(5)
  d <- data.frame(g = factor(sample(12, 240, TRUE)), x = rnorm(240))
  d <- d[order(d$x), ]
  b <- matrix(rnorm(36, 0, 0.5), 12)
  counts <- sapply(1:3, function(k) rpois(240, exp(0.2 * k + 0.2 * d$x + b[d$g, k])))
  counts[7, 2] <- NA
  w <- rep(c(1, 2), 120)
  found <- coef(glmm_responses(~ x + (1 | g), d, poisson(), counts, weights = w))
  for (k in 1:3) {
    d$y <- counts[, k]
    alone <- glmm(y ~ x + (1 | g), d, poisson(), weights = w)
    expect_equal(unname(found[k, ]), unname(coef(alone)), tolerance = 1e-6)
  }
})
