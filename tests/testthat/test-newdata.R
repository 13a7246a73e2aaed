d <- transform(
  sleepstudy,
  f = factor(rep(c("b", "a", "c"), 60)), ch = rep(c("z", "x", "y", "w"), 45),
  id = as.integer(Subject) * 100000L
)
new <- transform(
  d[c(5, 77, 120, 3), ], Days = c(0.5, 12, 3, 7), Subject = as.character(Subject)
)

# The parts of a fit that new data need, with lme4's estimates.
like_fit <- function(formula, data, ...) {
  theirs <- suppressWarnings(suppressMessages(lme4::lmer(formula, data, ...)))
  ours <- suppressWarnings(suppressMessages(design(formula, data, ...)))
  ours$coefficients <- lme4::fixef(theirs)
  ours$X <- ours$X[, names(ours$coefficients), drop = FALSE]
  modes <- lme4::ranef(theirs, condVar = FALSE)
  ours$b <- lapply(ours$random, function(term) {
    as.matrix(modes[[term$group]][term$columns])
  })
  list(ours = ours, theirs = theirs)
}

predicted <- function(fit, newdata, ...) {
  rows <- design_newdata(fit, newdata, ...)
  eta <- drop(rows$X %*% fit$coefficients)
  if (!is.null(rows$offset)) eta <- eta + rows$offset
  for (k in which(rows$use)) {
    codes <- rows$codes[[k]]
    z <- if (is.null(rows$z[[k]])) matrix(1, length(codes)) else rows$z[[k]]
    eta <- eta + rowSums(z * rbind(0, fit$b[[k]])[codes + 1L, , drop = FALSE])
  }
  stats::setNames(eta, rows$names)
}

expect_lme4_prediction <- function(fit, newdata, ...) {
  expect_equal(predicted(fit$ours, newdata, ...), stats::predict(fit$theirs, newdata, ...))
}

test_that("predictions for new data are lme4's", {
  skip_if_not_installed("lme4")
  fit <- like_fit(Reaction ~ Days + (Days | Subject), d)
  expect_lme4_prediction(fit, new)
  expect_lme4_prediction(fit, new, re.form = NA)
  expect_lme4_prediction(fit, new, re.form = ~0)
  expect_lme4_prediction(fit, new, re.form = ~ (1 | Subject))
  expect_lme4_prediction(fit, new, re.form = ~ (0 + Days | Subject))
  unknown <- transform(new, Subject = c("308", "zz", NA, "309"))
  expect_lme4_prediction(fit, unknown, allow.new.levels = TRUE)

  fit <- like_fit(Reaction ~ poly(Days, 2) * f + ch + (poly(Days, 2) | Subject) + (f | ch), d)
  expect_lme4_prediction(fit, new)
  expect_lme4_prediction(fit, new, re.form = ~ (f | ch))
  expect_equal(
    predicted(fit$ours, transform(new, f = as.character(f))), predicted(fit$ours, new)
  )
  fit <- like_fit(Reaction ~ splines::ns(Days, 3) + offset(Days / 3) + (1 | Subject / f), d)
  expect_lme4_prediction(fit, new)
  fit <- like_fit(Reaction ~ ch + (1 | Subject), d, contrasts = list(ch = "contr.sum"))
  expect_lme4_prediction(fit, new)
})

fit <- design(Reaction ~ Days + f + (Days | Subject) + (1 | ch), d)

test_that("terms out of use keep their columns if newdata has the variables", {
  rows <- design_newdata(fit, new, re.form = ~ (1 | ch))
  expect_identical(rows$use, c(FALSE, TRUE))
  expect_identical(rows$codes[[1]], integer(4))
  expect_equal(rows$z[[1]][, 2], new$Days)
  rows <- design_newdata(fit, new[c("Days", "f")], re.form = NA)
  expect_identical(rows$use, c(FALSE, FALSE))
})

test_that("columns that the fit dropped are dropped here too", {
  dropped <- design(Reaction ~ (Days + I(2 * Days) | Subject), d)
  dropped$random[[1]]$columns <- c("(Intercept)", "Days")
  dropped$random[[1]]$z <- dropped$random[[1]]$z[, 1:2]
  z <- design_newdata(dropped, new)$z[[1]]
  expect_identical(colnames(z), c("(Intercept)", "Days"))
})

test_that("no rows in, no rows out", {
  rows <- design_newdata(fit, new[0, ])
  expect_identical(dim(rows$X), c(0L, ncol(fit$X)))
  expect_identical(rows$codes, list(integer(), integer()))
  expect_identical(dim(rows$z[[1]]), c(0L, 2L))
})

test_that("numbers match levels however they are written", {
  by_id <- design(Reaction ~ (1 | id), d)
  codes <- design_newdata(by_id, new)$codes[[1]]
  expect_identical(design_newdata(by_id, transform(new, id = as.numeric(id)))$codes[[1]], codes)
  as_double <- design(Reaction ~ (1 | id), transform(d, id = as.numeric(id)))
  expect_identical(design_newdata(as_double, new)$codes[[1]], codes)
  text <- design(Reaction ~ (1 | id), transform(d, id = sprintf("%03d", as.integer(Subject))))
  expect_error(
    design_newdata(text, transform(new, id = "1")), class = "partialpool_error_newdata"
  )
})

test_that("missing values are kept or dropped as na.action says", {
  holes <- transform(new, Days = c(1, NA, 2, 3))
  expect_true(anyNA(design_newdata(fit, holes)$X))
  rows <- design_newdata(fit, holes, na.action = na.omit)
  expect_identical(dim(rows$X)[1], 3L)
  expect_length(rows$codes[[1]], 3L)
  expect_identical(rows$names, row.names(new)[-2])
  expect_error(design_newdata(fit, holes, na.action = na.fail), class = "partialpool_error_missing")
})

test_that("data that do not fit the model are refused by name", {
  refused <- function(newdata, pattern, ...) {
    expect_error(
      design_newdata(fit, newdata, ...), pattern, class = "partialpool_error_newdata"
    )
  }
  refused(transform(new, Subject = c("308", "zz", "309", "308")), "zz.*Subject")
  refused(transform(new, Subject = c("308", NA, "309", "308")), "Subject.*allow.new.levels")
  refused(transform(new, f = "q"), "`f`.*\"q\"")
  refused(new["Subject"], "Days")
  refused(new[c("Days", "f", "ch")], "Subject")
  refused(transform(new, Days = "a"), "Days")
  refused(1:3, "newdata")
})

test_that("the offset argument of a fit is found in newdata or asked for", {
  with_offset <- design(Reaction ~ (1 | Subject), d, offset = Days)
  with_offset$call <- quote(lmm(Reaction ~ (1 | Subject), d, offset = Days))
  expect_equal(design_newdata(with_offset, new)$offset, new$Days)
  expect_error(
    design_newdata(with_offset, new["Subject"]), "offset", class = "partialpool_error_newdata"
  )
  constant <- design(Reaction ~ (1 | Subject), d, offset = 5)
  constant$call <- quote(lmm(Reaction ~ (1 | Subject), d, offset = 5))
  expect_equal(design_newdata(constant, new["Subject"])$offset, rep(5, 4))
})

test_that("re.form must name terms of the fit", {
  for (re.form in list(~ (1 | g), ~ (f | Subject), ~x, y ~ (1 | ch), "ch", 1)) {
    expect_error(
      design_newdata(fit, new, re.form = re.form), "re.form", class = "partialpool_error_argument"
    )
  }
})

test_that("the groups of new data are a factor of their own", {
  group <- evaluate_group(fit$random[[1]], transform(new, Subject = c("zz", "308", NA, "zz")))
  expect_identical(group, factor(c("zz", "308", NA, "zz")))
})
