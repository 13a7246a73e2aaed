linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
expect_varcorr_of_lme4 <- function(formula, data) {
  vc <- VarCorr(lmm(formula, data))
  reference <- lme4::VarCorr(lme4::lmer(formula, data))
  expect_equal(as.data.frame(vc), as.data.frame(reference), tolerance = 2e-4)
  expect_equal(
    as.data.frame(vc, order = "lower.tri"), as.data.frame(reference, order = "lower.tri"),
    tolerance = 2e-4, ignore_attr = TRUE
  )
  expect_named(vc, names(reference))
  expect_equal(attr(vc, "sc"), attr(reference, "sc"), tolerance = 1e-4)
  for (group in names(vc)) {
    for (part in c("stddev", "correlation")) {
      expect_equal(
        attr(vc[[group]], part), attr(reference[[group]], part),
        tolerance = 2e-4
      )
    }
  }
}

test_that("variances, names and order are lme4's", {
  skip_if_not_installed("lme4")
  expect_varcorr_of_lme4(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_varcorr_of_lme4(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_varcorr_of_lme4(strength ~ 1 + (1 | batch / cask), Pastes)
  expect_varcorr_of_lme4(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleepstudy)
})

test_that("sigma rescales the matrices", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  relative <- VarCorr(fit, sigma = 1)
  expect_equal(relative$Subject * sigma(fit)^2, VarCorr(fit)$Subject, ignore_attr = TRUE)
  expect_identical(attr(relative, "sc"), 1)
})

test_that("the table prints as lme4's", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  lines <- capture.output(print(VarCorr(fit), digits = 4, comp = c("Variance", "Std.Dev.")))
  expect_identical(
    trimws(lines, "right"),
    c(
      " Groups   Name        Variance Std.Dev. Corr",
      " Subject  (Intercept) 612.09   24.740",
      "          Days         35.07    5.922   0.07",
      " Residual             654.94   25.592"
    )
  )
  expect_error(print(VarCorr(fit), comp = "SD"), class = "partialpool_error_argument")
})

test_that("a diagonal term has no covariances to show", {
  fit <- lmm(Reaction ~ Days + (Days || Subject), sleepstudy)
  table <- as.data.frame(VarCorr(fit))
  expect_identical(table$var1, c("(Intercept)", "Days", NA))
  expect_true(all(is.na(table$var2)))
  expect_false(any(grepl("Corr", capture.output(print(VarCorr(fit))))))
})

# Terms as VarCorr() stores them, to print what no data set at hand gives.
varcorr_of <- function(factor, structure, hom = FALSE, columns = letters[seq_len(nrow(factor))]) {
  term <- list(columns = columns, structure = structure, hom = hom)
  structure(
    list(g = covariance_matrix(factor, term)),
    sc = 1, useSc = TRUE, class = "VarCorr.pp_fit"
  )
}

test_that("structured terms show their one correlation once", {
  equal <- t(chol(matrix(0.5, 3, 3) + diag(0.5, 3)))
  lines <- capture.output(print(varcorr_of(equal, "cs"), digits = 4))
  expect_length(lines, 5L)
  expect_match(lines[2], "0.50 \\(cs\\)")
  lines <- capture.output(print(varcorr_of(equal, "ar1", TRUE), digits = 4))
  expect_length(lines, 3L)
  expect_match(lines[2], "a\\.\\.c +1 +0.50 \\(ar1\\)")
})

test_that("correlations that do not fit the page follow the table", {
  wide <- diag(12)
  columns <- paste0("a_long_name_", 1:12)
  lines <- capture.output(print(varcorr_of(wide, "us", columns = columns)))
  expect_true("Correlations of g:" %in% lines)
})

test_that("a variance of zero has no correlation, and tiny ones do not blow up the column", {
  vc <- varcorr_of(diag(c(1, 0)), "us")
  expect_match(capture.output(print(vc))[3], "-")
  expect_true(is.nan(attr(vc$g, "correlation")[2, 1]))
  expect_identical(trimws(format_jointly(c(612.1, 1e-9), 4)), c("612.1", "1e-09"))
})

test_that("a fit without random terms has the residual alone", {
  vc <- VarCorr(linear_fit())
  expect_length(vc, 0L)
  expect_identical(as.data.frame(vc)$grp, "Residual")
  expect_length(capture.output(print(vc)), 2L)
})
