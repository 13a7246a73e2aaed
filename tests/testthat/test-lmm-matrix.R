# The tutorial on features of speech (250 rows, 5 subjects) and the unit test of that package.
subjects <- utils::read.csv(test_path("fixtures", "B_naplib_seed0.csv"))
units <- utils::read.csv(test_path("fixtures", "B_naplib_unittest_rng1.csv.gz"))
X <- as.matrix(subjects[1:2])
y <- subjects$output
id <- subjects$subject
fit <- lmm(X, y, id)
by_z <- lmm(X, y, id, ddf = "none")

standard_errors_of <- function(fit) unname(sqrt(diag(vcov(fit))))

test_that("a matrix, a response and groups give the optimum (rows 68, 69)", {
  expect_s3_class(fit, c("pp_matrix_lmm", "pp_lmm", "pp_fit"), exact = TRUE)
  expect_equal(unname(fixef(fit)), c(-4.11686488115594, 1.04726007327352, -2.02333659588376),
    tolerance = 1e-8)
  expect_equal(standard_errors_of(fit), c(1.47716284478245, .0534062796010811, .0515076849105775),
    tolerance = 1e-7)
  expect_equal(VarCorr(fit)$group[1, 1], 10.8164800240473, tolerance = 1e-6)
  expect_equal(sigma(fit)^2, .0579078147410634, tolerance = 1e-7)
  expect_equal(as.numeric(logLik(fit)), -22.7317562681735, tolerance = 1e-10)
  expect_equal(as.numeric(logLik(lmm(X, y, id, REML = FALSE))), -19.9144486045126,
    tolerance = 1e-10)
  same <- lmm(output ~ feature_1 + feature_2 + (1 | subject), subjects)
  expect_equal(fixef(fit), fixef(same))
  expect_equal(vcov(fit), vcov(same))
})

test_that("standard errors of the joint information are there on request (row 70)", {
  # At the variances where the reference program stopped.
  theta <- sqrt(10.807591184080135 / .057908598134516445)
  joint <- joint_covariance(fit, theta)
  expect_equal(sqrt(diag(joint)), c(1.476593068227102, .053546972865632515, .051508637457506536),
    tolerance = 1e-9)
  table <- model_params(fit, full = TRUE, se = "joint")
  expect_equal(table$std.error[1:3], sqrt(diag(joint_covariance(fit))))
  expect_true(all(table$std.error[1:3] > standard_errors_of(fit)))
  expect_error(model_params(fit, se = "joint", ddf = "kenward-roger"),
    class = "partialpool_error_argument")
})

test_that("the joint covariance is that of the dense likelihood, with several groupings too", {
  d <- small_data(3, 120)
  fit <- lmm(cbind(x = d$x, z = d$z), d$y, data.frame(g = d$g, h = d$h))
  f <- function(par) {
    V <- diag(fit$n)
    for (t in 1:2) V <- V + par[3 + t] * outer(fit$random[[t]]$codes, fit$random[[t]]$codes, "==")
    r <- fit$y - fit$X %*% par[1:3]
    Vi <- solve(V)
    A <- t(fit$X) %*% Vi %*% fit$X
    0.5 * (determinant(V)$modulus + determinant(A)$modulus +
      (fit$n - 3) * log(sum(r * (Vi %*% r))))
  }
  skip_if_not_installed("numDeriv")
  skip_on_cran()
  information <- numDeriv::hessian(f, c(fit$coefficients, fit$theta^2))
  expect_equal(unname(joint_covariance(fit)), solve(information)[1:3, 1:3], tolerance = 1e-5)
})

test_that("intervals by z follow alpha (row 71)", {
  expect_equal(by_z$conf_int[2, ], c(.942585688707126, 1.15193445783992), tolerance = 1e-8,
    ignore_attr = TRUE)
  expect_equal(by_z$conf_int[3, ], c(-2.12428980323553, -1.92238338853199), tolerance = 1e-8,
    ignore_attr = TRUE)
  expect_identical(dimnames(by_z$conf_int),
    list(c("(Intercept)", "feature_1", "feature_2"), c("2.5 %", "97.5 %")))
  narrower <- lmm(X, y, id, ddf = "none", alpha = 0.1)$conf_int
  expect_equal(narrower, lmm(X, y, id, ddf = "none", level = 0.9)$conf_int)
  expect_true(all(narrower[, 1] > by_z$conf_int[, 1] & narrower[, 2] < by_z$conf_int[, 2]))
  expect_identical(colnames(narrower), c("5 %", "95 %"))
})

test_that("tests are Satterthwaite's by default (row 72)", {
  table <- model_params(fit, full = TRUE)
  expect_equal(table$df[1:3], c(4.04748760172448, 244.148316682684, 242.990543068595),
    tolerance = 1e-6)
  expect_equal(fit$pvalues[[1]], .0488093092597849, tolerance = 1e-6)
  expect_equal(by_z$pvalues[[1]], .00531972, tolerance = 1e-5)
})

test_that("the unit test of the original converges to the true optimum (rows 73, 74, 75)", {
  u <- lmm(as.matrix(units[1:2]), units$output, units$subject, ddf = "none")
  expect_equal(unname(u$params[-1]), c(.991126532, -2.004100167), tolerance = 1e-8)
  expect_equal(unname(u$params[-1]), c(.99110757, -2.00410041), tolerance = 3e-5)
  expect_equal(u$conf_int[2, ], c(.9706401, 1.0116129), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(u$conf_int[3, ], c(-2.0242471, -1.9839532), tolerance = 1e-6, ignore_attr = TRUE)
  expect_gte(as.numeric(logLik(u)), 1170.667992)
  expect_equal(VarCorr(u)$group[1, 1], 9.917301, tolerance = 1e-4)
  expect_equal(u$rsquared, .9910296836, tolerance = 1e-9)
  expect_equal(fit$rsquared, .979936938857593, tolerance = 1e-10)
})

test_that("without groups it is a linear model and says so (rows 75, 76)", {
  expect_message(linear <- lmm(X, y), class = "partialpool_message_random")
  expect_equal(unname(linear$params), c(.946508717408267, -.971510077415414, -2.14679350031009),
    tolerance = 1e-10)
  expect_equal(standard_errors_of(linear), c(.101557700378116, .028361723271656, .135907743809244),
    tolerance = 1e-10)
  expect_equal(as.numeric(logLik(linear)), -247.310680699936, tolerance = 1e-11)
  expect_equal(linear$rsquared, .856172004185087, tolerance = 1e-11)
  reference <- summary(lm(y ~ X))$coefficients
  expect_equal(unname(linear$pvalues), unname(reference[, 4]))
  expect_equal(linear$conf_int, confint(lm(y ~ X)), ignore_attr = TRUE)
})

test_that("a grouping of one level is an error that says why (row 77)", {
  expect_error(lmm(X, y, rep("a", 250)), "cannot be told from the intercept",
    class = "partialpool_error_group")
  # Of the rows used: the second group has a missing response.
  alone <- replace(y, id == 1, NA)
  two <- id < 2
  suppressMessages(expect_error(lmm(X[two, ], alone[two], id[two]),
    class = "partialpool_error_group"))
})

test_that("features are z-scored by the population standard deviation (row 78)", {
  scaled <- lmm(X, y, id, zscore_x = TRUE)
  expect_equal(unname(scaled$params[-1]), c(1.493741964, -.602251076), tolerance = 1e-9)
  expect_equal(fitted(scaled), fitted(fit), tolerance = 1e-7)
  expect_equal(predict(scaled, X[5:9, ], id[5:9]), predict(fit, X[5:9, ], id[5:9]),
    tolerance = 1e-7)
  expect_output(print(scaled), "features z-scored")
  constant <- suppressMessages(lmm(cbind(X, one = 1), y, id, zscore_x = TRUE))
  expect_identical(constant$aliased, "one")
  expect_equal(constant$params, scaled$params)
  shifted <- sweep(sweep(X, 2, c(100, 1e-3), "*"), 2, c(5, -7), "+")
  expect_equal(lmm(shifted, y, id, zscore_x = TRUE)$params, scaled$params, tolerance = 1e-6)
})

test_that("the table has the slopes, and all parameters on request (rows 79, 85)", {
  table <- model_params(by_z)
  expect_named(table, c("term", "estimate", "p.value", "conf.low", "conf.high"))
  expect_identical(table$term, c("feature_1", "feature_2"))
  expect_equal(table$conf.low, by_z$conf_int[-1, 1], ignore_attr = TRUE)
  full <- model_params(fit, full = TRUE)
  expect_identical(full$term,
    c("(Intercept)", "feature_1", "feature_2", "group.(Intercept)", "Residual"))
  expect_equal(full$std.error[4:5], c(7.66901625364857, .00525367162672376), tolerance = 1e-4)
  expect_identical(full$component, rep(c("fixed", "variance"), 3:2))
})

test_that("every kind of fit has the table", {
  slopes <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  full <- model_params(slopes, full = TRUE, ddf = "kenward-roger", level = 0.9)
  expect_identical(full$term[3:6],
    c("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days", "Residual"))
  # From the second differences of the dense restricted likelihood.
  expect_equal(full$std.error[3:6], c(288.782653, 46.678469, 14.782062, 77.185540),
    tolerance = 1e-7)
  counts <- glmm(TICKS ~ YEAR + (1 | BROOD), grouseticks, poisson())
  expect_equal(model_params(counts)$p.value, coef(summary(counts))[-1, 4], ignore_attr = TRUE)
  parts <- model_params(counts, full = TRUE)$component
  expect_identical(parts, rep(c("fixed", "variance"), c(3, 1)))
  expect_error(model_params(counts, se = "joint"), class = "partialpool_error_argument")
  K <- exp(-as.matrix(dist(1:40)) / 3)
  spatial <- suppressMessages(kernel_lmm(y[1:40], X[1:40, ], K))
  expect_equal(model_params(spatial)$estimate, unname(coef(spatial)))
  expect_error(model_params(lm(y ~ X)), class = "partialpool_error_argument")
})

test_that("names are shown as they are (row 81)", {
  labels <- c("pitch (Hz)", "a-b", "Subject ID", "Output Variable")
  named <- lmm(X, y, id, varnames = labels)
  expect_named(named$params, c("(Intercept)", labels[1:2]))
  expect_identical(rownames(vcov(named)), names(coef(named)))
  expect_named(ranef(named), "Subject ID")
  expect_snapshot(print(summary(named), signif.stars = FALSE), transform = function(lines) {
    sub("Converged: .*", "Converged", lines)
  })
  expect_equal(predict(named, X[1:9, ], id[1:9]), predict(fit, X[1:9, ], id[1:9]))
  odd <- lmm(X, y, id, varnames = c("1", "x:y + z", "TRUE", "log(y)"))
  expect_identical(model_params(odd)$term, c("1", "x:y + z"))
  expect_equal(logLik(odd), logLik(fit))
  expect_equal(predict(odd, X[1:3, ]), predict(fit, X[1:3, ]))
  expect_equal(coef(update(odd, . ~ . - `1`), "group")[[1]][1, 1],
    coef(lmm(X[, 2, drop = FALSE], y, id), "group")[[1]][1, 1], tolerance = 1e-6)
})

test_that("groups may be of any type, with default names (row 82)", {
  value <- logLik(lmm(X, y, id, REML = FALSE))
  expect_equal(as.numeric(value), -19.9144486, tolerance = 1e-8)
  for (groups in list(paste("s", id), factor(id), as.integer(id), as.list(id), cbind(id),
    as.Date("2024-01-01") + id, data.frame(id), as.list(letters[id + 1]))) {
    expect_equal(logLik(lmm(X, y, groups, REML = FALSE)), value)
  }
  plain <- unname(X)
  expect_named(lmm(plain, y, id)$params, c("(Intercept)", "x1", "x2"))
  expect_equal(logLik(lmm(plain, as.matrix(y), id, REML = FALSE)), value)
  expect_equal(logLik(lmm(as.data.frame(X), y, id, REML = FALSE)), value)
  expect_equal(logLik(lmm(X = X, y = y, random_effect = id, REML = FALSE)), value)
  expect_equal(logLik(lmm(X = X, y, id, REML = FALSE)), value)
  two <- lmm(X, y, cbind(subject = id, block = rep(1:10, 25)))
  expect_setequal(names(ranef(two)), c("subject", "block"))
  both <- transform(subjects, block = rep(1:10, 25))
  expect_equal(logLik(two), logLik(
    lmm(output ~ feature_1 + feature_2 + (1 | subject) + (1 | block), both)
  ))
  expect_named(suppressMessages(lmm(X[, 1], y, id))$params, c("(Intercept)", "x1"))
})

test_that("rows with missing values are left out and reported (row 83)", {
  holes <- replace(X, cbind(7, 1), NaN)
  expect_message(short <- lmm(holes, y, id), "1 of 250", class = "partialpool_message_missing")
  expect_identical(nobs(short), 249L)
  expect_true(is.finite(short$rsquared))
  expect_equal(short$params, lmm(X[-7, ], y[-7], id[-7])$params)
  expect_output(print(summary(short)), "Left out: 1 row with missing values")
  suppressMessages(expect_equal(
    lmm(holes, y, id, zscore_x = TRUE)$params, lmm(X[-7, ], y[-7], id[-7], zscore_x = TRUE)$params
  ))
  suppressMessages(expect_identical(nobs(lmm(X, y, replace(id, 1:3, NaN))), 247L))
})

test_that("the summary is printed once and returned invisibly (row 84)", {
  shown <- capture.output(value <- withVisible(print(summary(fit))))
  expect_false(value$visible)
  expect_s3_class(value$value, "summary.pp_lmm")
  expect_identical(sum(grepl("^Linear mixed model", shown)), 1L)
  expect_false(any(grepl("NULL|None", shown)))
  expect_equal(summary(fit, ddf = "none")$conf_int, by_z$conf_int)
})

test_that("methods of a fit work, and results follow a new response", {
  expect_equal(predict(fit, X, id), fitted(fit))
  expect_equal(predict(fit, X), drop(cbind(1, X) %*% fixef(fit)), ignore_attr = TRUE)
  expect_equal(predict(fit, data.frame(X, group = id)), fitted(fit), ignore_attr = TRUE)
  expect_equal(predict(fit, X[, 2:1], id), fitted(fit))
  expect_identical(dim(predict(fit, X[1:4, ], id[1:4], interval = "prediction")), c(4L, 3L))
  expect_error(predict(fit, X[1:2, ], 7:8), class = "partialpool_error_newdata")
  expect_error(predict(fit, X[, 1]), class = "partialpool_error_newdata")
  expect_error(predict(fit, X, cbind(id, id)), class = "partialpool_error_argument")
  expect_error(predict(fit, random_effect = id), class = "partialpool_error_argument")
  again <- refit(fit, -y)
  expect_equal(again$params, -fit$params, tolerance = 1e-6)
  expect_equal(again$conf_int[, 1], -fit$conf_int[, 2], tolerance = 1e-5)
  expect_equal(update(fit, REML = FALSE)$params, lmm(X, y, id, REML = FALSE)$params)
  fewer <- update(fit, . ~ . - feature_2)
  expect_equal(logLik(fewer), logLik(lmm(output ~ feature_1 + (1 | subject), subjects)))
  expect_s3_class(suppressMessages(anova(fit, fewer)), "anova")
  expect_identical(unserialize(serialize(fit, NULL))$params, fit$params)
})

test_that("bad input names what is wrong", {
  wrong <- function(..., class) {
    expect_error(suppressMessages(lmm(...)), class = paste0("partialpool_error_", class))
  }
  wrong(X, class = "response")
  wrong(X, y[-1], class = "response")
  wrong(X, letters[1:2], class = "response")
  wrong(X, cbind(y, y), id, class = "response")
  wrong(X, rep(1, 250), id, class = "response")
  wrong(X, replace(y, 3, Inf), id, class = "response")
  wrong(replace(X, 3, Inf), y, id, zscore_x = TRUE, class = "variable")
  wrong(cbind(X, "a"), y, class = "variable")
  wrong(data.frame(X, f = "a"), y, class = "variable")
  wrong(X[0, ], y[0], class = "data")
  wrong(X * NA, y, class = "data")
  wrong(sleepstudy, Reaction ~ Days, class = "formula")
  wrong(5, class = "formula")
  wrong(X, y, id[-1], class = "group")
  wrong(X, y, seq_along(y), class = "group")
  wrong(X, y, list(id, mean), class = "group")
  wrong(X, y, id, varnames = c("a", "b", "c"), class = "argument")
  wrong(X, y, id, varnames = 1:4, class = "argument")
  wrong(X, y, id, varnames = c("a", "a"), class = "argument")
  wrong(X, y, id, varnames = c("a", ""), class = "argument")
  wrong(X, y, id, varnames = c("a", "."), class = "argument")
  wrong(X, y, id, varnames = c("a", "y"), class = "argument")
  wrong(X, y, id, alpha = 5, class = "argument")
  wrong(X, y, id, level = 95, class = "argument")
  wrong(X, y, id, ddf = "guess", class = "argument")
  wrong(X, y, id, zscore_x = NA, class = "argument")
  wrong(X, y, id, colour = 1, class = "argument")
  expect_error(suppressMessages(lmm(replace(X, 2, Inf), y, id)), "feature_1")
})

test_that("features in extreme units are z-scored, and hundreds of them make a formula", {
  set.seed(3)
  X <- matrix(rnorm(400), 100)
  y <- X[, 1] + rnorm(100)
  group <- rep(1:10, 10)
  reference <- quietly(lmm(X, y, group, zscore_x = TRUE))$params
  for (unit in c(1e-200, 1e200)) {
    expect_equal(quietly(lmm(X * unit, y, group, zscore_x = TRUE))$params, reference)
  }
  wide <- matrix(rnorm(300 * 200), 300)
  expect_length(quietly(lmm(wide, rnorm(300), rep(1:10, 30)))$params, 201)
})
