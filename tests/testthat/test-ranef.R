linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
without_variance <- function(tables) {
  lapply(tables, function(table) {
    attr(table, "postVar") <- NULL
    table
  })
}

expect_ranef_of_lme4 <- function(formula, data) {
  random <- ranef(lmm(formula, data))
  reference <- lme4::ranef(lme4::lmer(formula, data))
  expect_named(random, names(reference))
  expect_equal(without_variance(unclass(random)), without_variance(unclass(reference)),
    tolerance = 2e-4, ignore_attr = TRUE
  )
  for (group in names(random)) {
    expect_identical(dimnames(random[[group]]), dimnames(reference[[group]]))
    expect_equal(
      attr(random[[group]], "postVar"), attr(reference[[group]], "postVar"),
      tolerance = 2e-3, ignore_attr = TRUE
    )
  }
  # Levels are sorted by their modes, and ties fall as rounding has it.
  long <- function(x) transform(as.data.frame(x), grp = as.character(grp))
  expect_equal(long(random), long(reference), tolerance = 2e-3, ignore_attr = TRUE)
}

test_that("modes and conditional variances are lme4's: one vector-valued term", {
  skip_if_not_installed("lme4")
  expect_ranef_of_lme4(Reaction ~ Days + (Days | Subject), sleepstudy)
})

test_that("modes and conditional variances are lme4's: crossed and nested factors", {
  skip_if_not_installed("lme4")
  expect_ranef_of_lme4(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_ranef_of_lme4(strength ~ 1 + (1 | batch / cask), Pastes)
})

test_that("modes and conditional variances are lme4's: two terms on one factor", {
  skip_if_not_installed("lme4")
  formula <- Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)
  expect_ranef_of_lme4(formula, sleepstudy)
  variances <- attr(ranef(lmm(formula, sleepstudy))$Subject, "postVar")
  expect_type(variances, "list")
  expect_named(variances, c("(Intercept)", "Days"))
})

test_that("the long table has lme4's columns, and condsd only with variances", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  long <- as.data.frame(ranef(fit))
  expect_named(long, c("grpvar", "term", "grp", "condval", "condsd"))
  expect_identical(nrow(long), 36L)
  modes <- ranef(fit)$Subject[["(Intercept)"]]
  expect_identical(levels(long$grp), levels(sleepstudy$Subject)[order(modes)])
  expect_named(
    as.data.frame(ranef(fit, condVar = FALSE)), c("grpvar", "term", "grp", "condval")
  )
})

test_that("drop gives named vectors, whichel chooses factors", {
  fit <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  all <- ranef(fit, drop = TRUE)
  expect_named(all$sample, levels(Penicillin$sample))
  expect_length(attr(all$sample, "postVar"), 6L)
  expect_identical(nrow(as.data.frame(all)), 30L)
  expect_equal(as.data.frame(all), as.data.frame(ranef(fit)), ignore_attr = TRUE)
  expect_named(ranef(fit, whichel = "sample"), "sample")
})

test_that("a wrong whichel and unknown arguments are errors", {
  fit <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_error(ranef(fit, whichel = "smple"), "smple", class = "partialpool_error_argument")
  expect_error(ranef(fit, whichel = 1), class = "partialpool_error_argument")
  expect_error(ranef(fit, condvar = FALSE), "condvar", class = "partialpool_error_argument")
})

test_that("random effects print by factor, without their variances", {
  fit <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  lines <- capture.output(print(ranef(fit, whichel = "sample")))
  expect_identical(lines[1:2], c("$sample", "  (Intercept)"))
  expect_match(lines[length(lines)], "with conditional variances for \"sample\"")
  expect_false(any(grepl("postVar", lines)))
})

test_that("a fit without random terms has none", {
  random <- ranef(linear_fit())
  expect_length(random, 0L)
  expect_identical(nrow(as.data.frame(random)), 0L)
})
