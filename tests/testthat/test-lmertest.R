ham <- function() lmerTest::ham
liking <- Informed.liking ~ Product * Information + Gender + Age + (1 | Consumer) +
  (1 | Product:Consumer)

# lmerTest's derivatives are by finite differences: about five digits.
# The data stand in the call, which lmerTest evaluates again.
lmer_test <- function(formula, data) {
  control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  suppressMessages(eval(bquote(lmerTest::lmer(.(formula), .(data), control = .(control)))))
}

expect_same <- function(ours, theirs) {
  expect_equal(as.data.frame(ours), as.data.frame(theirs), tolerance = 1e-4, ignore_attr = TRUE)
  expect_identical(names(ours), names(theirs))
}

test_that("contest() and its sisters give lmerTest's tables", {
  skip_if_not_installed("lmerTest", "3.1.3")
  fit <- lmm(liking, ham())
  m <- lmer_test(liking, ham())
  L <- diag(10)[2:4, ]
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    expect_same(lmerTest::contest(fit, L, ddf = ddf), lmerTest::contest(m, L, ddf = ddf))
    expect_same(
      lmerTest::contest1D(fit, L[1, ], rhs = 0.3, confint = TRUE, ddf = ddf),
      lmerTest::contest1D(m, L[1, ], rhs = 0.3, confint = TRUE, ddf = ddf)
    )
  }
  expect_same(lmerTest::contest(fit, L, joint = FALSE), lmerTest::contest(m, L, joint = FALSE))
  expect_same(lmerTest::contestMD(fit, L, rhs = 0.1), lmerTest::contestMD(m, L, rhs = 0.1))
  both <- list(a = L[1, ], b = L)
  expect_same(lmerTest::contest(fit, both), lmerTest::contest(m, both))
  expect_length(lmerTest::contest(fit, both, collect = FALSE), 2L)
  expect_error(lmerTest::contest1D(fit, 1:3), class = "partialpool_error_argument")
  expect_true(is.na(lmerTest::contestMD(fit, rep(NA_real_, 10))[["F value"]]))
})

test_that("least-squares means are lmerTest's", {
  skip_if_not_installed("lmerTest", "3.1.3")
  fit <- lmm(liking, ham())
  m <- lmer_test(liking, ham())
  ours <- lmerTest::ls_means(fit)
  theirs <- lmerTest::ls_means(m)
  expect_same(ours, theirs)
  expect_identical(row.names(ours), row.names(theirs))
  expect_output(print(ours), "Degrees of freedom method: Satterthwaite")
  ours <- lmerTest::difflsmeans(fit, "Product", ddf = "Kenward-Roger")
  theirs <- lmerTest::difflsmeans(m, "Product", ddf = "Kenward-Roger")
  expect_same(ours, theirs)
  expect_identical(row.names(ours), row.names(theirs))
  expect_equal(lmerTest::show_tests(ours)$Product, lmerTest::show_tests(theirs)$Product,
    ignore_attr = TRUE
  )
  expect_error(lmerTest::ls_means(fit, "Age"), class = "partialpool_error_argument")
})

test_that("means that the data do not determine are missing", {
  skip_if_not_installed("lmerTest", "3.1.3")
  data <- subset(ham(), !(Product == "4" & Information == "2"))
  fit <- suppressMessages(lmm(liking, data))
  ours <- lmerTest::ls_means(fit)
  expect_same(ours, lmerTest::ls_means(lmer_test(liking, data)))
  expect_true(is.na(ours["Product4:Information2", "Estimate"]))
  full <- fixef(fit, add.dropped = TRUE)
  single <- lmerTest::contest(fit, rbind(0 + is.na(full), 0 + (names(full) == "Age")),
    joint = FALSE, check_estimability = TRUE
  )
  expect_equal(single$Estimate, c(NA, unname(coef(fit)["Age"])))
})

test_that("logical, text and functions of variables are as in a model of plain columns", {
  skip_if_not_installed("lmerTest", "3.1.3")
  data <- transform(ham(), young = Age < 40, sex = as.character(Gender), years = log(Age))
  fit <- lmm(Informed.liking ~ Product * young + sex + log(Age) + (1 | Consumer), data)
  theirs <- lmer_test(Informed.liking ~ Product * young + sex + years + (1 | Consumer),
    transform(data, young = factor(young), sex = factor(sex))
  )
  expect_same(lmerTest::ls_means(fit), lmerTest::ls_means(theirs))
  fit <- lmm(Informed.liking ~ factor(Product, 4:1) + (1 | Consumer), data)
  means <- lmerTest::ls_means(fit)
  expect_identical(row.names(means), paste0("factor(Product, 4:1)", 4:1))
  expect_equal(means$Estimate[4:1], unname(coef(lmm(Informed.liking ~ 0 + Product + (1 | Consumer),
    data))), tolerance = 1e-8)
})

test_that("least-squares means of a generalised model are on the scale of the link", {
  skip_if_not_installed("lmerTest", "3.1.3")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  means <- lmerTest::ls_means(fit)
  expect_equal(means$Estimate, unname(coef(fit)[1L] + c(0, coef(fit)[-1L])))
  expect_true(all(is.infinite(means$df)))
})

test_that("step() eliminates as lmerTest does", {
  skip_if_not_installed("lmerTest", "3.1.3")
  fit <- lmm(liking, ham())
  ours <- lmerTest::step(fit)
  theirs <- lmerTest::step(lmer_test(liking, ham()))
  rows <- row.names(theirs$random)
  expect_equal(as.data.frame(ours$random)[rows, ], as.data.frame(theirs$random),
    tolerance = 1e-4, ignore_attr = TRUE
  )
  expect_same(ours$fixed, theirs$fixed)
  expect_identical(row.names(ours$fixed), row.names(theirs$fixed))
  expect_output(print(ours), "Model found")
  final <- lmerTest::get_model(ours)
  expect_s3_class(final, "pp_lmm")
  expect_true(final$REML)
  expect_equal(logLik(final), logLik(update(fit, . ~ . - Product:Information - Gender - Age)),
    tolerance = 1e-8
  )
  kept <- lmerTest::step(fit, keep = c("Age", "Gender"), alpha.random = 0.05)
  labels <- attr(terms(lmerTest::get_model(kept)), "term.labels")
  expect_true(all(c("Age", "Gender") %in% labels))
  expect_identical(kept$random$Eliminated, c(NA, 1, 0))
  expect_warning(lmerTest::step(fit, keep = "no"), class = "partialpool_warning_argument")
  plain <- suppressMessages(lmm(Informed.liking ~ Product + Age, ham()))
  expect_output(print(lmerTest::step(plain)), "<none>")
})
