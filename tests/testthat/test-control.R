test_that("defaults are as documented", {
  control <- pp_control()
  expect_s3_class(control, "pp_control")
  expect_identical(unclass(control), list(
    tolerance = 1e-8, max_iterations = 100L, progress = FALSE, check = TRUE
  ))
})

test_that("whole numbers of either type are taken", {
  expect_identical(pp_control(max_iterations = 7)$max_iterations, 7L)
  expect_identical(pp_control(max_iterations = 2L)$max_iterations, 2L)
})

test_that("values out of range are refused by name", {
  bad <- list(
    tolerance = list(0, -1, NA, Inf, "a", c(1, 2), NULL),
    max_iterations = list(0, 2.5, NA, -1, 1e10),
    progress = list(NA, 1, c(TRUE, FALSE)),
    check = list("yes"),
    check = list(NULL)
  )
  for (name in names(bad)) {
    for (value in bad[[name]]) {
      arguments <- stats::setNames(list(value), name)
      expect_error(do.call(pp_control, arguments), name, class = "partialpool_error_argument")
    }
  }
})

test_that("a plain list will do as control, unknown settings will not", {
  expect_identical(as_control(list(max_iterations = 2)), pp_control(max_iterations = 2))
  expect_identical(as_control(NULL), pp_control())
  expect_identical(as_control(pp_control(progress = TRUE)), pp_control(progress = TRUE))
  expect_error(as_control(list(tol = 1)), "tol", class = "partialpool_error_argument")
  expect_error(as_control(list(1)), class = "partialpool_error_argument")
  expect_error(as_control("fast"), class = "partialpool_error_argument")
})

test_that("control prints", {
  expect_output(print(pp_control()), "max_iterations +100")
})
