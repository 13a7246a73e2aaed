shown <- function(table) as.data.frame(tibble::as_tibble(table))

test_that("tbl_regression() shows what it shows of lme4's fits", {
  skip_if_not_installed("gtsummary", "2.0.0")
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lmerTest")
  ours <- lmm(yield ~ nitro * Variety + (1 | Block / Variety), nlme::Oats)
  theirs <- lmerTest::lmer(yield ~ nitro * Variety + (1 | Block / Variety), nlme::Oats)
  expect_equal(shown(gtsummary::tbl_regression(ours)), shown(gtsummary::tbl_regression(theirs)))
  with_all <- function(fit) {
    table <- gtsummary::tbl_regression(fit, intercept = TRUE, include = Variety, conf.level = 0.9)
    shown(gtsummary::add_glance_table(gtsummary::add_n(table)))
  }
  expect_equal(with_all(ours), with_all(theirs))
  # The random parameters, if asked for.
  table <- gtsummary::tbl_regression(ours, tidy_fun = tidy)
  expect_true("Residual.sd__Observation" %in% table$table_body$term)
  expect_equal(
    table$table_body$p.value[table$table_body$term %in% "nitro"],
    unname(coef(summary(ours))["nitro", "Pr(>|t|)"])
  )
})

test_that("add_global_p() adds the tests of car::Anova()", {
  skip_if_not_installed("gtsummary", "2.0.0")
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("car")
  skip_if_not_installed("lme4")
  ours <- lmm(yield ~ nitro * Variety + (1 | Block / Variety), nlme::Oats)
  theirs <- lme4::lmer(yield ~ nitro * Variety + (1 | Block / Variety), nlme::Oats)
  p_values <- function(fit) {
    table <- gtsummary::add_global_p(gtsummary::tbl_regression(fit))$table_body
    unname(table$p.value[table$row_type == "label"])
  }
  expect_equal(p_values(ours), p_values(theirs), tolerance = 1e-4)
})

test_that("odds ratios and rate ratios are called so, and events are counted", {
  skip_if_not_installed("gtsummary", "2.0.0")
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lme4")
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  ours <- glmm(formula, cbpp, binomial)
  theirs <- lme4::glmer(formula, lme4::cbpp, binomial)
  table <- function(fit) {
    table <- gtsummary::tbl_regression(fit, exponentiate = TRUE)
    shown(gtsummary::add_nevent(gtsummary::add_n(table, "level"), "level"))
  }
  # Standard errors differ in the third digit, and with them the ends of two intervals.
  columns <- function(x) x[!grepl("CI", names(x))]
  expect_identical(columns(table(ours)), columns(table(theirs)))
  expect_true("**OR**" %in% names(table(ours)))

  count <- glmm(round(yield) ~ nitro + offset(log(nitro + 1)) + (1 | Block), nlme::Oats, poisson)
  expect_true("**IRR**" %in% names(shown(gtsummary::tbl_regression(count, exponentiate = TRUE))))
})

test_that("broom.helpers counts as it does for glmer", {
  skip_if_not_installed("broom.helpers", "1.14.0")
  skip_if_not_installed("lme4")
  data <- transform(nlme::Oats, y = round(yield), time = nitro + 1)
  data$Block <- factor(data$Block, ordered = FALSE)
  data <- as.data.frame(data)
  ours <- glmm(y ~ Variety + offset(log(time)) + (1 | Block), data, poisson)
  theirs <- lme4::glmer(y ~ Variety + offset(log(time)) + (1 | Block), data, poisson)
  found <- broom.helpers::model_get_n(ours)
  expect_equal(found, broom.helpers::model_get_n(theirs), ignore_attr = TRUE)
  expect_equal(
    attributes(found)[c("N_obs", "N_event", "Exposure")],
    attributes(broom.helpers::model_get_n(theirs))[c("N_obs", "N_event", "Exposure")]
  )
  expect_identical(broom.helpers::model_get_coefficients_type(ours), "poisson")
  zeros <- inflated_data()
  inflated <- glmm(y ~ x + (1 | g), zeros, nbinom2(), ziformula = ~1)
  expect_identical(broom.helpers::model_get_coefficients_type(inflated), "generic")
  binary <- glmm(factor(y > 100) ~ nitro + (1 | Block), data, binomial)
  expect_identical(attr(broom.helpers::model_get_n(binary), "N_event"), sum(data$y > 100) + 0)
  expect_identical(broom.helpers::model_get_coefficients_type(binary), "logistic")

  left_out <- transform(data, y = replace(y, 2, NA))
  fit <- glmm(y ~ Variety + (1 | Block), left_out, poisson, na.action = na.exclude)
  expect_equal(attr(broom.helpers::model_get_n(fit), "N_obs"), 71)
  linear <- lmm(y ~ Variety + (1 | Block), left_out, na.action = na.exclude)
  expect_equal(attr(broom.helpers::model_get_n(linear), "N_obs"), 71)

  plus <- broom.helpers::tidy_plus_plus(ours, tidy_fun = tidy)
  expect_identical(plus$var_type[nrow(plus)], "ran_pars")
})
